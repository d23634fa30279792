"""An offline AWS for this project: ministack plus the services that it lacks.

It deploys the real templates and runs the built Lambda zips and the container's own `train` and
`serve`. Nothing that ships knows of it: the whole coupling is `AWS_ENDPOINT_URL`, `ML_ROOT` and
`SAGEMAKER_BIND_TO_PORT`.
"""
