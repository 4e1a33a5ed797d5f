#!/bin/sh
# The last step of an image, as root: tie project and dependencies together, say what is in it.
set -eu
site=$(echo /opt/panoptes/lib/python3.*/site-packages)
echo /opt/project >"$site/project.pth"

# CUDA's libraries come as Python packages; the loader finds them without a variable to carry about.
find "$site" -type d \( -path '*/nvidia/*/lib' -o -name tensorrt_libs \) >/etc/ld.so.conf.d/panoptes.conf
if [ -s /etc/ld.so.conf.d/panoptes.conf ]; then
    /sbin/ldconfig
else
    rm /etc/ld.so.conf.d/panoptes.conf
fi

mkdir -p /usr/share/sbom /data
/opt/panoptes/bin/python "$(dirname "$0")/sbom.py" >/usr/share/sbom/panoptes.cdx.json
chown 10001:10001 /data
