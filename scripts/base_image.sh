#!/usr/bin/env bash
# Make a base image where no registry can be reached: base_image.sh IMAGE [SUITE]
# Needs root, debootstrap, docker and a Debian mirror. trixie brings Python 3.13, bookworm 3.11.
set -euo pipefail
image=${1:?name the image, such as local/python:3.13-slim-trixie}
suite=${2:-trixie}

mkdir -p build
root=$(mktemp -d build/base-image.XXXXXX)
trap 'rm -rf --one-file-system "$root"' EXIT
chmod 0755 "$root" # mktemp's 0700 would be the image's: nobody but root could run anything there
debootstrap --variant=minbase --include=python3-venv,ca-certificates "$suite" "$root"
# python3 and pip come first on PATH and have one folder of packages, as in Python's own images.
chroot "$root" python3 -m venv /usr/local
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
tar -C "$root" -c . | docker import --change 'CMD ["python3"]' - "$image"
