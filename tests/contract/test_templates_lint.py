"""The linters' word on the templates, and a reason for everything they are told to overlook."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("template", ["01-prep.yml", "02-build-pipeline.yml"])
def test_cfn_lint_finds_nothing_not_even_a_hint(template):
    command = [Path(sys.executable).with_name("cfn-lint"), "--", template]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.stdout == ""
    assert result.returncode == 0, result.stderr


def test_cfn_lint_is_told_to_count_hints_and_to_look_at_every_partition():
    told = yaml.safe_load((ROOT / ".cfnlintrc.yaml").read_text())
    assert told.keys() == {"include_checks", "regions"}  # no rule is ignored
    assert told["include_checks"] == ["I"]
    assert {region[:3] for region in told["regions"]} >= {"us-", "eu-", "ap-", "cn-"}


@pytest.mark.parametrize("template", ["01-prep.yml", "02-build-pipeline.yml"])
def test_templates_switch_no_rule_off(template):
    text = (ROOT / template).read_text()
    assert "cfn-lint:" not in text
    assert "checkov:skip" not in text


def test_every_rule_of_checkov_that_is_skipped_has_its_reason():
    path = ROOT / ".checkov.yaml"
    skipped = yaml.safe_load(path.read_text())["skip-check"]
    lines = path.read_text().splitlines()
    for rule in skipped:
        above = lines[lines.index(f"  - {rule}") - 1]
        assert above.strip().startswith("# ")
        assert len(above) > 40
