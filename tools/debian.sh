#!/bin/sh
# Install the Debian packages of a list that are not there yet.
#
#     sh tools/debian.sh LIST
#
# Each line of the list begins with a package; what follows it, and what follows a #, is for people.
set -eu
cd "$(dirname "$0")/.."

list=$1
missing=""
for package in $(sed 's/#.*//' "$list" | awk '{ print $1 }'); do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) || status="absent"
    [ "$status" = installed ] || missing="$missing $package"
done
if [ -z "$missing" ]; then
    echo "Nothing to install: all the packages in $list are here."
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    echo "This is no Debian: install by your own means what these provide:$missing" >&2
    exit 1
fi
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "Run this as root, or install sudo; to install:$missing" >&2; exit 1; }
    as_root="sudo"
fi

echo "Installing:$missing"
# `env` because sudo does not pass our environment on.
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update --quiet=2
# shellcheck disable=SC2086  # a list of names, to be split
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends $missing
