#!/usr/bin/env bash
# Fail if ECR's scan finds something critical: scan_gate.sh REPOSITORY DIGEST…
# Where nothing is scanned, or an image cannot be, it says so and goes on.
set -euo pipefail

repository=$1
shift
pause_s=3
tries=200      # for a scan to end
begin_tries=20 # for a scan to begin

# Status, number of critical findings and reason of an image's scan, apart by tabs.
scan_of() {
  local answer
  if answer=$(aws ecr describe-image-scan-findings --no-paginate --output text \
    --repository-name "$repository" --image-id "imageDigest=$1" --query \
    '[imageScanStatus.status, imageScanFindings.findingSeverityCounts.CRITICAL, imageScanStatus.description]' \
    2>&1); then
    echo "$answer"
  elif [[ "$answer" == *ScanNotFoundException* ]]; then
    printf 'NOT_BEGUN\tNone\tECR has not scanned it\n'
  else
    echo "$answer" >&2
    return 1
  fi
}

judge() {
  local answer status critical reason try
  for ((try = 1; try <= tries; try++)); do
    answer=$(scan_of "$1")
    IFS=$'\t' read -r status critical reason <<<"$answer"
    case "$status $reason" in
      "COMPLETE "* | "ACTIVE "*)
        [[ "$critical" != None && "$critical" != 0 ]] || {
          echo "$1: no critical finding"
          return
        }
        echo "$1 has $critical critical findings. Give a newer base image or newer packages, and" \
          "push a commit (git commit --allow-empty): images are kept by commit. To see the" \
          "findings: aws ecr describe-image-scan-findings --repository-name $repository" \
          "--image-id imageDigest=$1" >&2
        return 1
        ;;
      "PENDING "* | "IN_PROGRESS "*) ;;
      "NOT_BEGUN "*) ((try < begin_tries)) || break ;;
      "UNSUPPORTED_IMAGE "* | "SCAN_ELIGIBILITY_EXPIRED "* | "FAILED "*[Uu]nsupported*) break ;;
      *)
        echo "the scan of $1 ended as $status: $reason" >&2
        return 1
        ;;
    esac
    sleep "$pause_s"
  done
  ((try <= tries)) || {
    echo "the scan of $1 is still $status after $tries tries; retry the stage" >&2
    return 1
  }
  echo "$1: no judgement on its vulnerabilities, $status: $reason"
}

scanned=$(aws ecr batch-get-repository-scanning-configuration --repository-names "$repository" \
  --query 'scanningConfigurations[0].[scanOnPush, scanFrequency]' --output text)
if [[ "$scanned" == False$'\t'MANUAL ]]; then
  echo "ECR does not scan $repository when images are pushed: no judgement on vulnerabilities"
  exit
fi
for digest in "$@"; do
  judge "$digest"
done
