"""The targets that touch an AWS account: whose things, in which region, with which parameters."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOW_REGION = ("--eval", "show: ; @echo region=$$AWS_DEFAULT_REGION")
# What this `make` may itself have been given by another one above it.
INHERITED = ("UNIQUE_ID", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "AWS_REGION", "AWS_DEFAULT_REGION")


def make(*arguments, **variables):
    environment = {k: v for k, v in os.environ.items() if k not in INHERITED} | variables
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("target", ["deploy-prep", "deploy-pipeline", "clean-up"])
def test_whose_account_things_are_is_never_guessed(target):
    refused = make("--dry-run", target)
    assert refused.returncode == 2
    assert "give UNIQUE_ID=, your three initials" in refused.stderr
    assert "abc" in make("--dry-run", target, "UNIQUE_ID=abc").stdout


def test_both_names_of_the_region_are_honoured_as_by_the_aws_cli():
    assert make(*SHOW_REGION, "show", AWS_REGION="r-1").stdout == "region=r-1\n"
    assert make(*SHOW_REGION, "show", AWS_DEFAULT_REGION="r-2").stdout == "region=r-2\n"
    both = make(*SHOW_REGION, "show", AWS_REGION="r-1", AWS_DEFAULT_REGION="r-2")
    assert both.stdout == "region=r-1\n"


def test_a_parameter_is_given_when_it_is_named_even_if_it_is_empty():
    words = ("--dry-run", "deploy-pipeline", "UNIQUE_ID=abc")
    assert "ApiAuthorization" not in make(*words).stdout
    assert "ApiAuthorization=NONE" in make(*words, "API_AUTHORIZATION=NONE").stdout
    assert "'NotificationEmail='" in make(*words, "PARAMETERS=NotificationEmail=").stdout


def test_zips_are_built_without_any_environment_and_uploaded_with_one():
    assert "setup_env.py" not in make("--dry-run", "package-lambdas").stdout
    assert "setup_env.py" in make("--dry-run", "package-lambdas", "BUCKET=b").stdout
