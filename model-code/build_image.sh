#!/usr/bin/env bash
# Test, build and push the images of one commit, or reuse those that exist; writes image.json.
# Run from the repository's root, as CodeBuild does; needs docker and the AWS CLI.
set -euo pipefail

repository="${ECR_REPOSITORY_URI#*/}"
commit="$CODEBUILD_RESOLVED_SOURCE_VERSION"
targets=(train serve)

# The digest of a tag in ECR; nothing where there is no such image.
digest_of() {
  local answer
  if answer=$(aws ecr describe-images --repository-name "$repository" \
    --image-ids "imageTag=$1" --query 'imageDetails[0].imageDigest' --output text 2>&1); then
    echo "$answer"
  elif [[ "$answer" != *ImageNotFoundException* ]]; then
    echo "$answer" >&2
    return 1
  fi
}

build() {
  local options=()
  if [[ "$(docker build --help)" == *--provenance* ]]; then # BuildKit's; the classic builder has none
    options+=(--provenance=false --sbom=false) # SageMaker refuses image indexes
  fi
  if [[ -n "${BASE_IMAGE:-}" ]]; then
    options+=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
  fi
  if [[ -n "${TORCH_INDEX_URL:-}" ]]; then
    options+=(--build-arg "TORCH_INDEX_URL=$TORCH_INDEX_URL")
  fi
  docker build --target "$1" --tag "$2" "${options[@]}" model-code
}

# Keep what an image holds, before anybody can use the image.
list_contents() {
  docker run --rm --interactive --network none "$ECR_REPOSITORY_URI:$1" \
    python3 - "$repository" "$1" <model-code/sbom.py >"$1.cdx.json"
  aws s3 cp --only-show-errors "$1.cdx.json" "$SBOM_URI/$1.cdx.json"
}

test_and_push() {
  aws ecr get-login-password |
    docker login --username AWS --password-stdin "${ECR_REPOSITORY_URI%%/*}"
  build test "model-test:$commit"
  docker run --rm --network none "model-test:$commit" python3 -m pytest -q tests
  local target
  for target in "${targets[@]}"; do
    if [[ -n "${digests[$target]}" ]]; then
      echo "$target: $commit-$target is in ECR already; not pushed again"
      continue
    fi
    build "$target" "$ECR_REPOSITORY_URI:$commit-$target"
    list_contents "$commit-$target"
    docker push "$ECR_REPOSITORY_URI:$commit-$target"
    digests[$target]=$(digest_of "$commit-$target")
  done
}

declare -A digests
for target in "${targets[@]}"; do
  digests[$target]=$(digest_of "$commit-$target")
done

if [[ -n "${digests[train]}" && -n "${digests[serve]}" ]]; then
  echo "the images of commit $commit exist; reusing them: no test, no build, no push." \
    "Another BASE_IMAGE or TORCH_INDEX_URL takes effect with the next commit" \
    "(git commit --allow-empty)"
else
  test_and_push
fi

for target in "${targets[@]}"; do
  [[ "${digests[$target]}" == sha256:* ]] || {
    echo "ECR gives no digest for $commit-$target (got '${digests[$target]}')" >&2
    exit 1
  }
done
bash model-code/scan_gate.sh "$repository" "${digests[train]}" "${digests[serve]}"

cat >image.json <<JSON
{
  "repository": "$ECR_REPOSITORY_URI",
  "commit": "$commit",
  "train": {"tag": "$commit-train", "digest": "${digests[train]}"},
  "serve": {"tag": "$commit-serve", "digest": "${digests[serve]}"}
}
JSON
cat image.json
