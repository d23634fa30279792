#!/usr/bin/env bash
# Unpacks Debian's nginx for the seed's server into a folder; installs nothing, needs no root.
# Does nothing where nginx is there already, or no apt-get to fetch it.
set -euo pipefail
folder=$1
if command -v nginx >/dev/null || [ -x "$folder/usr/sbin/nginx" ] || ! command -v apt-get >/dev/null; then
  exit 0
fi
mkdir -p "$folder"
cd "$folder"
apt-get download nginx || { echo "nginx cannot be fetched; the seed is measured without it"; exit 0; }
dpkg -x nginx_*.deb .
rm nginx_*.deb
