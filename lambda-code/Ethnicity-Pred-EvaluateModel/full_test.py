"""The full test: every row counted, over as many invocations as it takes; gate and registry."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from common.endings import Done, keep_waiting
from common.failures import ActionFailed, error_code
from common.job import Job
from common.notice import STANDING_NOTE
from common.settings import from_env
from counting import Progress, Services
from evaluation_params import EvaluationParams
from evaluation_source import MISSING
from gate import Thresholds, measure, missed, thresholds
from registration import Pages, Settings, package_request, register
from report_html import report_html

MAX_ROWS = 100_000
RESERVE_S = 180  # one more batch, slow and asked twice, report and registration must fit into it


def full_test(
    job: Job,
    data: tuple[str, str],
    params: EvaluationParams,
    deployed: Mapping[str, Any],
    services: Services,
) -> Done:
    """Count on where the last invocation stopped; when all is counted, report, judge, register."""
    limits, settings = thresholds(params.thresholds), from_env(Settings, services.environ)
    folder = Folder(services.s3, deployed["model_data_url"], params.execution_id)
    state = f"{job.action_id}/state.json"
    saved = folder.read(state, must_exist="state" in job.state)
    progress = Progress.from_json(saved) if saved else Progress.begin(services.s3, *data)
    max_rows = params.max_rows or MAX_ROWS
    if not progress.go_on(services, deployed, max_rows, RESERVE_S):
        folder.write(state, json.dumps(progress.to_json()), "application/json")
        what = f"the full test has counted {progress.tally.rows} rows"
        now, deadline = datetime.now(UTC), params.deadline_minutes
        raise keep_waiting(what, job.first_asked, now, deadline, {"state": folder.uri(state)})
    report = make_report(progress, limits, deployed, params.execution_id)
    pages = folder.write_report(report)
    if faults := report["missed"]:
        raise ActionFailed(f"the gate stops this model: {'; '.join(faults)}. See {pages.html}")
    request = package_request(
        settings, report, deployed, pages, params.instance_types, job.action_id
    )
    package = register(services.sagemaker(), request)
    return passed(report, deployed, pages.html, package)


def make_report(
    progress: Progress, limits: Thresholds, deployed: Mapping[str, Any], execution_id: str
) -> dict[str, Any]:
    """Return all that is measured, the limits, the verdict, and what it was measured on."""
    measures = measure(progress.tally, limits)
    faults = missed(measures, limits)
    facts = ("environment", "endpoint_name", "training_job_name", "serve_image", "commit")
    return {
        "kind": "evaluation-report",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "execution_id": execution_id,
        "passed": not faults,
        "missed": faults,
        "thresholds": {k: v for k, v in asdict(limits).items() if v >= 0},
        "data": progress.source,
        "model": progress.model,
        # As in the API's answers: labels are sensitive unless the model says that they are not.
        "note": None if progress.model.get("sensitive") is False else STANDING_NOTE,
        **{fact: deployed[fact] for fact in facts},
        **measures,
    }


def passed(report: Mapping[str, Any], deployed: Mapping[str, Any], page: str, package: str) -> Done:
    """Return the action's success: where the report is, and the model in the registry."""
    macro = report["macro_recall"]["value"]
    judged = [entry["value"] for entry in report["labels"] if entry["judged"]]
    artifact = {
        **deployed,
        "kind": "evaluation",
        "report": page,
        "model_package_arn": package,
        **{key: report[key] for key in ("rows", "data", "thresholds", "macro_recall", "accuracy")},
    }
    variables = {
        "EvaluationReport": page,
        "ModelPackageArn": package,
        "MacroRecall": f"{macro:.3f}",
        "WorstLabelRecall": f"{min(judged):.3f}",
        "EvaluatedRows": str(report["rows"]),
    }
    few = [entry["label"] for entry in report["labels"] if not entry["judged"]]
    aside = f"; too few rows to judge {', '.join(few)}" if few else ""
    version = package.rsplit("/", 1)[-1]
    summary = (
        f"the gate lets this model through: macro recall {macro:.3f}{aside}; "
        f"it is version {version} in the registry"
    )
    return Done(artifact, summary, variables, report["endpoint_name"])


class Folder:
    """The folder of one pipeline execution in the bucket where its model lies."""

    def __init__(self, s3: Any, model_data_url: str, execution_id: str) -> None:
        self._s3, self._bucket = s3, urlsplit(model_data_url).netloc
        self._prefix = f"evaluations/{execution_id}/"

    def uri(self, name: str) -> str:
        """Return the s3:// address of a file."""
        return f"s3://{self._bucket}/{self._prefix}{name}"

    def write(self, name: str, text: str, content_type: str) -> None:
        """Store a file; the bucket encrypts it by its own rule."""
        key = self._prefix + name
        self._s3.put_object(
            Bucket=self._bucket, Key=key, Body=text.encode(), ContentType=content_type
        )

    def write_report(self, report: Mapping[str, Any]) -> Pages:
        """Store a report for programs and for people; return where."""
        self.write("report.json", json.dumps(report, indent=2, sort_keys=True), "application/json")
        self.write("report.html", report_html(report), "text/html; charset=utf-8")
        return Pages(self.uri("report.json"), self.uri("report.html"))

    def read(self, name: str, *, must_exist: bool) -> dict[str, Any] | None:
        """Return a JSON file's content; None if it is not there and need not be."""
        try:
            found = self._s3.get_object(Bucket=self._bucket, Key=self._prefix + name)
        except Exception as error:
            if must_exist or error_code(error) not in MISSING:
                raise
            return None
        return json.loads(found["Body"].read())
