"""The documents tell the truth: what they name exists, what they show can be run."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import textwrap
from functools import cache
from pathlib import Path

import botocore.session
import draw_pipeline
import pytest
import readme_tables
from botocore import xform_name
from demo.story import curl_line

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
NEEDS_AWS = "# needs an AWS account"
OFFLINE_TARGETS = {
    *("base-image", "check", "demo", "lock", "models", "package-lambdas", "setup", "test"),
    "test-docker",
    *("train-local", "serve-local", "predict-local"),
}
HEADINGS = (
    *("Try it offline", "Deploy it to AWS", "Step 1: preparation"),
    *("Step 2: upload the Lambda functions", "Step 3: build the pipeline"),
    *("Step 4: trigger the pipeline", "Step 5: call the API", "Step 6: clean up"),
    *("Your own data", "Folder map"),
    *("Names", "Parameters", "What a green offline run does not prove", "Troubleshooting"),
    *("Intended use and limits", "Credits and licence"),
)
ELSEWHERE = {  # code spans that name something which is not in the repository, and whose it is
    "kmm": "an example",
    "Deploy": "an example",
    "pip failed": "setup_env.py's message, without its file",
    "--index-url": "pip",
    "aws configure": "the AWS CLI",
    "AWS_PROFILE": "the AWS CLI",
    "ResourceLimitExceeded": "SageMaker",
    "CREATE_FAILED": "CloudFormation",
    "no branch named master was found in the selected AWS CodeCommit repository": "CodePipeline",
    "Requires capabilities : [CAPABILITY_AUTO_EXPAND]": "CloudFormation",
    "S3 Error Code: NoSuchKey": "CloudFormation",
    "docker run IMAGE train": "SageMaker",
    "docker run IMAGE serve": "SageMaker",
    "~/SageMaker/byo-staging.log": "the notebook instance",
    "git commit --allow-empty": "git",
    "image.json": "made by the build",
}


def _id(path):
    return str(path.relative_to(ROOT))


def _prose(path):
    """Return a document's text without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)


def _spans(path):
    return set(re.findall(r"`([^`]+)`", _prose(path).replace("\n", " ").replace("   ", " ")))


def _shell_blocks():
    fence = re.compile(r"^( *)```bash\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
    return [
        pytest.param(textwrap.dedent(match[2]), id=f"{_id(path)}:{match.start()}")
        for path in DOCUMENTS
        for match in fence.finditer(path.read_text())
    ]


@cache
def _repository():
    """Return the text of all files of the repository but the documents and this one."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    paths = [ROOT / name for name in listed if name]
    skipped = {*DOCUMENTS, Path(__file__).resolve()}
    return "\n".join(
        p.read_text(errors="replace") for p in paths if p.is_file() and p not in skipped
    )


@cache
def _names():
    return {name for _, name in readme_tables.names(readme_tables.templates())}


def _names_something(span):
    """Say whether a code span is a file, a name of the templates, or stands in a file."""
    if span in ELSEWHERE or span.startswith("make ") or span in _repository():
        return True
    if (ROOT / span).exists() or _is_json(span) or _is_call_of_a_script(span):
        return True
    generic = span.replace("kmm", "<id>").replace("0a1b2c3d", "<hash>")
    if any(re.match(_pattern(generic, "…"), name) for name in _names()):
        return True
    placeholders = r"…|<\w+>"
    return bool(
        re.search(placeholders, span) and re.search(_pattern(span, placeholders), _repository())
    )


def _is_json(span):
    try:
        return isinstance(json.loads(span if span.startswith("{") else f"{{{span}}}"), dict)
    except ValueError:
        return False


def _is_call_of_a_script(span):
    """Say whether a span is `python3 scripts/x.py WORDS --options` of a script that has these."""
    program, *arguments = span.removeprefix("python3 ").split()
    script = ROOT / program
    options = [word for word in arguments if word.startswith("--")]
    return script.is_file() and all(f'"{option}"' in script.read_text() for option in options)


def _pattern(span, placeholders):
    return ".*".join(re.escape(part) for part in re.split(placeholders, span))


@pytest.mark.parametrize("path", DOCUMENTS, ids=_id)
def test_every_code_span_names_something_that_exists(path):
    assert sorted(span for span in _spans(path) if not _names_something(span)) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=_id)
def test_every_local_link_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(path)):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in slugs, target


@pytest.mark.parametrize("path", DOCUMENTS, ids=_id)
def test_no_document_knows_a_machine_or_a_package_registry(path):
    text = path.read_text()
    assert re.findall(r"(?<![\w.~])/(?:home|root|tmp|opt|usr|work|Users)\b(?!/ml\b)", text) == []
    hosts = r"\b(?:pypi|pythonhosted|npmjs|conda|debian|docker|ghcr)\.(?:org|com|io)\b"
    assert re.findall(hosts + r"|\bdownload\.pytorch\b", text) == []


def test_the_readme_keeps_its_order():
    text = README.read_text()
    found = [h for h in re.findall(r"^##+ (.*)$", text, re.MULTILINE) if h in HEADINGS]
    assert tuple(found) == HEADINGS


@pytest.mark.parametrize("path", readme_tables.tables(), ids=_id)
def test_the_tables_are_those_of_templates_and_program(path):
    """If this is red: make docs."""
    text = path.read_text()
    assert readme_tables.fill(text, readme_tables.tables()[path]) == text


def test_the_picture_is_that_of_the_templates():
    """If this is red: make docs."""
    assert (ROOT / "docs/pipeline.svg").read_text() == draw_pipeline.draw()


def test_the_quota_table_names_the_default_instance_types(pipeline, prep):
    rows = re.findall(r"^\| (ml\.\S+) for .*\| `(\w+)` \|$", README.read_text(), re.MULTILINE)
    assert len(rows) == 4
    for instance_type, name in rows:
        template = prep if name in prep["Parameters"] else pipeline
        assert template["Parameters"][name]["Default"] == instance_type


def test_the_artifact_table_lists_the_pipelines_artifacts(pipeline):
    text = (ROOT / "docs/architecture.md").read_text()
    listed = re.findall(r"^\| `(\w+)` \| (\w+) \|", text, re.MULTILINE)
    assert listed == [
        (artifact["Name"], action["Name"])
        for stage in pipeline["Resources"]["Pipeline"]["Properties"]["Stages"]
        for action in stage["Actions"]
        for artifact in action.get("OutputArtifacts", [])
    ]


def test_outputs_that_the_readme_speaks_of_exist(prep, pipeline):
    bold = set(re.findall(r"\*\*([A-Z][a-z]+(?:[A-Z][A-Za-z]+)+)\*\*", README.read_text()))
    named = bold - {"CloudFormation", "CloudWatch", "CodePipeline", "SageMaker"}
    known = {k for t in (prep, pipeline) for part in ("Parameters", "Outputs") for k in t[part]}
    assert {"DevPredictUrl", "LambdaFunctionsBucket"} <= named <= known


@pytest.mark.parametrize("block", _shell_blocks())
def test_shell_blocks_are_shell(block):
    done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True)
    assert done.stderr == ""


@pytest.mark.parametrize("block", _shell_blocks())
def test_shell_blocks_run_offline_or_say_that_they_need_aws(block):
    if block.startswith(NEEDS_AWS):
        return
    for line in block.splitlines():
        program, _, rest = line.partition(" ")
        is_local = line in {curl_line("http://127.0.0.1:4566")} or program in {"cd", "git"}
        is_make = program == "make" and rest.split()[0] in OFFLINE_TARGETS
        assert is_local or (is_make and "BUCKET=" not in rest), line


@pytest.mark.parametrize("path", DOCUMENTS, ids=_id)
def test_every_make_command_has_its_target_and_variables(path):
    makefile = (ROOT / "Makefile").read_text()
    shell = [param.values[0] for param in _shell_blocks() if param.id.startswith(f"{_id(path)}:")]
    lines = [*_spans(path), *"\n".join(shell).splitlines()]
    for command in (line for line in lines if line.startswith("make ")):
        target, *settings = shlex.split(command)[1:]
        assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), command
        for setting in settings:
            name = setting.partition("=")[0]
            assert re.search(rf"^{re.escape(name)} \?=", makefile, re.MULTILINE), command


@pytest.mark.parametrize("target", sorted(OFFLINE_TARGETS))
def test_make_knows_how_to_make_every_offline_target(target):
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_aws_command_exists():
    text = "\n".join(param.values[0] for param in _shell_blocks())
    commands = re.findall(r"\baws ([a-z-]+) ([a-z0-9-]+)", text)
    session = botocore.session.get_session()
    for service, operation in commands:
        if (service, operation) == ("configure", "export-credentials"):
            continue
        model = session.get_service_model(service)
        assert operation.replace("-", "_") in {xform_name(n) for n in model.operation_names}
    assert len(commands) >= 3


def test_the_plain_call_is_the_workshops_own():
    call = re.search(r"^curl -s -X POST (https:\S+) \\\n(.*)$", README.read_text(), re.MULTILINE)
    assert call is not None
    assert call[1] == "https://apiurl.execute-api.us-east-1.amazonaws.com/dev/predict"
    assert "Content-Type: application/json" in call[2]
    assert """'{"image_name":"download-1.jpg"}'""" in call[2]
