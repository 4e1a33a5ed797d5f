#!/bin/sh
# install.sh ENVIRONMENT LOCK: put exactly what the lock says into an environment without pip.
set -eu
if [ -s /run/ca.pem ]; then
    export PIP_CERT=/run/ca.pem
fi
# Wheels alone: nothing of a dependency runs while images are built.
pip --python "$1/bin/python" install --require-hashes --only-binary :all: --no-deps --no-compile \
    -r "$2"
python3 -m compileall -q -j 0 "$1" || true # some packages ship templates that are no Python
