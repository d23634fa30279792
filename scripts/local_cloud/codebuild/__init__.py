"""CodeBuild: runs a project's real buildspec in bash, with the real AWS CLI.

A build gets the service role's session and a scrubbed environment; source, artifacts and logs go
through S3 and CloudWatch Logs as that role. `docker` is the offline front end, and only there in
privileged mode.

Not emulated: the build image (the programs of this machine are used; `runtime-versions` is
noted), caches, batch builds, webhooks, reports, VPCs, secondary sources and artifacts, S3 logs,
variables from Parameter Store or Secrets Manager, `on-failure` other than ABORT, and sources
other than CodePipeline and S3, and what a command leaves in the background (it ends with the
command). Builds never wait in a queue. `run-as` is refused. No events are
sent to EventBridge.
"""
