#!/bin/sh
# install.sh ENVIRONMENT LOCK [MODULE...]: put exactly what the lock says into an environment without
# pip, and compile what importing these modules takes: all of it would be a fifth of the image.
set -eu
environment=$1 lock=$2
shift 2
if [ -s /run/ca.pem ]; then
    export PIP_CERT=/run/ca.pem
fi
# Wheels alone: nothing of a dependency runs while images are built.
pip --python "$environment/bin/python" install --require-hashes --only-binary :all: --no-deps \
    --no-compile -r "$lock"
for module in "$@"; do
    "$environment/bin/python" -c "import $module"
done

# botocore describes every service of its cloud, 30 MB of them: object stores need these.
for data in "$environment"/lib/python3.*/site-packages/botocore/data; do
    if [ -d "$data" ]; then
        find "$data" -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts ! -name 'sso*' \
            ! -name signin -exec rm -rf {} +
    fi
done
