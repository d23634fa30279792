"""SageMaker: runs the image's own `train` and `serve`, and moves statuses as AWS does.

State and rules stand apart from processes and wire: `training_job`, `training_rules`, `channels`,
`metrics`, `endpoint`, `rollout`, `hosting_rules`, `notebook`, `packages` and `listing` know neither
HTTP nor clock nor disk. `trainer` and `deployer` act on them in threads; the `*_api` modules are
the operations; `engine` is where programs run.

What differs from AWS, beyond what is refused by name (see `honoured`):
- Instance types, counts and volumes are checked and shown only: a fleet of n instances is one
  process, and GPUs are whatever the machine has. Quotas are not known.
- Network isolation takes endpoint and credentials out of a container's environment; it does not
  cut the network. Credentials of other containers last an hour and are not renewed in them.
- Hosts of a training job share one loopback; they need Linux and `unshare`. Spot jobs are never
  interrupted. A failed job leaves no output.tar.gz.
- A container that ends before it is healthy fails its endpoint at once; AWS tries again until the
  health check's timeout. Later it is restarted, as on AWS. Serverless variants never sleep.
- No events are sent to EventBridge, and no VPC, data capture, asynchronous, multi-model or
  inference-component hosting, shadow variants, rolling updates or autoscaling exist.
- A model package's images and artifacts are not looked up. Notebooks are records only.
- Everything is kept in memory: it lasts as long as the local cloud runs.
- LOCAL_CLOUD_TIME_SCALE shortens AWS's own waiting times, see `local_cloud.background`.
"""

from __future__ import annotations

from local_cloud import alarms, seams
from local_cloud.background import answer_in_thread
from local_cloud.sagemaker import cfn
from local_cloud.sagemaker.endpoint_api import EndpointApi
from local_cloud.sagemaker.notebook_api import NotebookApi
from local_cloud.sagemaker.registry_api import RegistryApi
from local_cloud.sagemaker.tags_api import TagsApi
from local_cloud.sagemaker.training_api import TrainingApi
from local_cloud.sagemaker_runtime import Runtime


class SageMaker(TrainingApi, EndpointApi, RegistryApi, NotebookApi, TagsApi):
    """The control plane by X-Amz-Target, the runtime by path; both sign as `sagemaker`."""

    def __init__(self) -> None:
        super().__init__()
        self.runtime = Runtime(self.serving)

    def install(self) -> None:
        """Register the service, its CloudFormation types, and its metrics for the alarms."""
        super().install()
        cfn.install(self)
        alarms.install()
        alarms.before_judging(self.runtime.metrics.publish)

    async def handle(
        self, method: str, path: str, headers: dict, body: bytes, query: dict
    ) -> seams.Response:
        """Answer one HTTP request of either API."""
        if self.runtime.wants(path):
            return await answer_in_thread(self.runtime.answer, path, headers, body, query)
        return await answer_in_thread(self._answer, headers, body, query)
