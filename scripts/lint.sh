#!/usr/bin/env bash
# Every static check, one after the other; the first that fails ends it.
set -euo pipefail
cd "$(dirname "$0")/.."
set -x
.venv/bin/ruff format --check .
.venv/bin/ruff check .
.venv/bin/mypy
.venv/bin/cfn-lint 01-prep.yml 02-build-pipeline.yml
for template in 01-prep.yml 02-build-pipeline.yml; do
  .tools/sam/bin/sam validate --lint --region us-east-1 --template-file "$template"
done
.tools/checkov/bin/checkov --quiet --compact --framework cloudformation --skip-download --file 01-prep.yml 02-build-pipeline.yml
.venv/bin/hadolint model-code/Dockerfile
