#!/bin/sh
# Fetch what tests hold our work against and pip does not install, into build/tools. Each thing is fetched
# once; what cannot be had here is left out, and the tests that need it say so.
set -eu
cd "$(dirname "$0")/.."
tools=$PWD/build/tools
python=${PYTHON:-.venv/bin/python}
mkdir -p "$tools"

# Types and validators of custom resources.
if ! cmp -s tests/k8s/package-lock.json "$tools/schemas/package-lock.json"; then
    if command -v npm >/dev/null; then
        rm -rf "$tools/schemas" && mkdir -p "$tools/schemas"
        cp tests/k8s/package.json tests/k8s/package-lock.json "$tools/schemas/"
        (cd "$tools/schemas" && npm ci --no-audit --no-fund --loglevel=error) ||
            rm -f "$tools/schemas/package-lock.json"
    fi
fi

# KServe's types; its code is not run, so that what it depends on is not needed.
if [ ! -d "$tools/kserve" ]; then
    "$python" -m pip install --quiet --no-deps --target "$tools/kserve" 'kserve>=0.16' ||
        rm -rf "$tools/kserve"
fi

# COCO's scorer of panoptic files. It asks for an older NumPy, but works with ours.
if [ ! -d "$tools/panopticapi" ]; then
    "$python" -m pip install --quiet --no-deps --target "$tools/panopticapi" 'panopticapi-lite>=0.2' ||
        rm -rf "$tools/panopticapi"
fi

# In an environment of its own: it pins what others need newer.
if [ ! -x "$tools/checkov/bin/checkov" ]; then
    "$python" -m venv "$tools/checkov" &&
        "$tools/checkov/bin/python" -m pip install --quiet 'checkov>=3.2' || rm -rf "$tools/checkov"
fi

# Prometheus's own judge of rules, out of Debian's package; nothing is installed or started.
if [ ! -x "$tools/promtool" ] && ! command -v promtool >/dev/null && command -v apt-get >/dev/null; then
    fetched=$(mktemp -d)
    if (cd "$fetched" && apt-get -qq download prometheus 2>/dev/null) ||
        { apt-get -qq update && cd "$fetched" && apt-get -qq download prometheus; }; then
        dpkg-deb -x "$fetched"/prometheus_*.deb "$fetched/root" &&
            cp "$fetched/root/usr/bin/promtool" "$tools/promtool"
    fi
    rm -rf "$fetched"
fi

# Triton's load generator, a program that its client's package held until 2024, with the libraries that it is
# linked to, one of CUDA's among them; no GPU is asked for.
if [ ! -x "$tools/perf_analyzer/perf_analyzer" ] && [ "$(uname -sm)" = "Linux x86_64" ]; then
    fetched=$(mktemp -d)
    if "$python" -m pip install --quiet --no-deps --target "$fetched" \
        'tritonclient==2.50.0' 'nvidia-cuda-runtime-cu12<13'; then
        mkdir -p "$tools/perf_analyzer"
        find "$fetched" \( -name perf_analyzer -o -name 'libcudart.so.*' \) -type f \
            -exec cp {} "$tools/perf_analyzer/" \;
        chmod +x "$tools/perf_analyzer/perf_analyzer"
        (cd "$fetched" && apt-get -qq download libb64-0d 2>/dev/null &&
            dpkg-deb -x libb64-0d_*.deb . && cp usr/lib/*/libb64.so.0d "$tools/perf_analyzer/") || true
    fi
    rm -rf "$fetched"
fi
ls "$tools"
