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
# `tokenizers` names the client of a hub that a server never speaks to: it and what it alone needs
# stay out.
without=
for package in huggingface-hub hf-xet filelock httpcore2 httpx2 pyyaml tqdm truststore; do
    without="$without --no-emit-package $package"
done
lock build docker/locks/build.in "$@"
# shellcheck disable=SC2086 # several options
lock cpu pyproject.toml --extra cpu --extra grpc --extra otel --extra remote $without "$@"
# shellcheck disable=SC2086
lock gpu pyproject.toml --extra gpu --extra grpc --extra otel --extra remote $without "$@"
# What building TensorRT's plans takes beside TensorRT, in the versions that the image has.
lock plans docker/locks/plans.in --constraint docker/locks/gpu.txt "$@"
lock train pyproject.toml --extra cpu --extra gcs --extra remote --extra train "$@"
