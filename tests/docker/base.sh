#!/bin/sh
# base.sh FOLDER IMAGE: everything that building and running containers needs where there is no Docker:
# Debian's tools, their configuration in FOLDER, and a stand-in for the base IMAGE made by debootstrap.
set -eu
folder=$1 image=$2
mkdir -p "$folder"

missing=
for package in buildah podman runc conmon debootstrap catatonit containernetworking-plugins; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
if [ -n "$missing" ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update
    # shellcheck disable=SC2086 # a list of packages
    apt-get -qq install -y --no-install-recommends $missing >/dev/null
fi

# runc and plain cgroups work where there is no systemd; limits must not exceed what this process has.
cat >"$folder/containers.conf" <<C
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
C
cat >"$folder/storage.conf" <<C
[storage]
driver = "overlay"
graphroot = "$folder/graph"
runroot = "$folder/run"
C
export CONTAINERS_CONF="$folder/containers.conf" CONTAINERS_STORAGE_CONF="$folder/storage.conf"

if buildah inspect --type image "$image" >/dev/null 2>&1; then
    exit 0
fi
# Debian's Python of the same minor version, with the names that the official image has.
root=$folder/root
rm -rf "$root"
debootstrap --variant=minbase \
    --include=ca-certificates,python3,python3-pip,python3-venv,netbase,tzdata \
    bookworm "$root" >"$folder/debootstrap.log" 2>&1
# A slim image has neither lists nor documentation nor translations.
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* \
    "$root"/usr/share/doc "$root"/usr/share/man "$root"/usr/share/info "$root"/usr/share/locale \
    "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
for name in python python3; do
    ln -sf /usr/bin/python3 "$root/usr/local/bin/$name"
done
container=$(buildah from scratch)
mounted=$(buildah mount "$container")
cp -a "$root/." "$mounted/"
buildah umount "$container" >/dev/null
buildah config --env PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin \
    --cmd python3 "$container"
buildah commit --quiet --squash "$container" "$image" >/dev/null
buildah rm "$container" >/dev/null
rm -rf "$root"
