"""CodePipeline V2: runs the stages that a template declares, as the pipeline's role.

`engine` decides, `effects` act (CodeCommit source, CodeBuild, Lambda, manual approval), `views`
answer, and the conductor joins them. Artifacts, job events with artifact credentials, output
variables, continuation tokens, transitions, stop and retry work as on AWS. What a declaration or
a request holds beyond that is refused by name.

Not emulated: execution mode PARALLEL, triggers, stage conditions and rollback, other providers,
polling sources, cross-region actions, webhooks, custom actions (PollForJobs) and third-party jobs.
An execution keeps the version that it started with until its end; on AWS an update stops the
stage that it changes. A continued Lambda action is invoked again after two seconds
(LOCAL_CLOUD_CONTINUE_SECONDS), on AWS after about half a minute. State is lost with the process.
"""
