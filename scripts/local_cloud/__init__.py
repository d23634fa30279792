"""An offline AWS for this project: ministack plus the services that it lacks.

It deploys the real templates and runs the built Lambda zips and the container's own `train` and
`serve`. Nothing that ships knows of it: the whole coupling is `AWS_ENDPOINT_URL`, `ML_ROOT` and
`SAGEMAKER_BIND_TO_PORT`.

Written here, one package per service: `codecommit`, `codebuild` with `docker_cli` and `images`,
`codepipeline`, `ecr`, `sagemaker` and `sagemaker_runtime`; `strict` and `lambda_runtime` hold what
ministack has but AWS does more strictly. An operation or an input member that is not emulated
answers 501 and names itself.

Not emulated, and so not shown by a green run (each package's docstring has its own details):
isolation of containers and their base images (the Docker engine has both), instance types and
fleets, networks, quotas and prices, notebook instances beyond their records, SageMaker's and
CodeBuild's events, ECR's scanner, lifecycle expiry, e-mail, `aws:SecureTransport` (always true:
the endpoint is plain HTTP on 127.0.0.1), CloudFormation's use of its caller's rights for
ministack's own types, organisations' policies, and anything that outlives the process: all state
ends with it.
"""
