#!/bin/sh
# Write the locks of the images anew from pyproject.toml: versions and hashes, no addresses.
# lock.sh [uv's options, such as --upgrade]
set -eu
cd "$(dirname "$0")/.."
lock() {
    output=$1
    shift
    uv pip compile --quiet --generate-hashes --no-annotate --no-header --no-config \
        --python-version 3.11 --python-platform linux --output-file "docker/locks/$output.txt" "$@"
}
lock build docker/locks/build.in "$@"
lock cpu pyproject.toml --extra cpu --extra grpc --extra otel --extra remote "$@"
lock gpu pyproject.toml --extra gpu --extra grpc --extra otel --extra remote "$@"
lock train pyproject.toml --extra cpu --extra remote --extra train "$@"
