#!/usr/bin/env bash
# root.sh KIND FOLDER: makes a root to install wheels in and run them by chroot, as a container would have it. Needs
# Debian's mmdebstrap and root's rights; nothing is installed on the machine but what runs the root.
#
#   debian11   Debian 11 (glibc 2.31), with CPython 3.11 of interpreter.sh for glibc 2.17: its own Python is too old
#   aarch64    Debian 12 for aarch64, with its CPython 3.11; elsewhere QEMU runs it
#   musl       musl's loader, a shell and CPython 3.11 of interpreter.sh, and no glibc: what Alpine's image has of libraries
set -euo pipefail
here=$(realpath "$(dirname "$0")")

kind=$1
folder=$(realpath --canonicalize-missing "$2")
archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | head -n 1)

need() { command -v "$1" >/dev/null || apt-get install -y -qq --no-install-recommends "$2"; }

rm -rf "$folder"
mkdir -p "$(dirname "$folder")"
case $kind in
debian11)
    need mmdebstrap mmdebstrap
    mmdebstrap --quiet --variant=essential bullseye "$folder" "$archive"
    "$here/interpreter.sh" x86_64-linux-gnu.2.17 "$folder/opt/python"
    ;;
aarch64)
    need mmdebstrap mmdebstrap
    mmdebstrap --quiet --variant=extract --arch=arm64 --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
        --include=python3.11-minimal,libpython3.11-stdlib,libgcc-s1,zlib1g,dash bookworm "$folder" "$archive"
    ln -sf dash "$folder/usr/bin/sh"
    if [[ $(uname -m) != aarch64 ]]; then
        need qemu-aarch64-static qemu-user-static
        need update-binfmts binfmt-support
        mountpoint -q /proc/sys/fs/binfmt_misc || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
        update-binfmts --enable qemu-aarch64
    fi
    mkdir -p "$folder/opt/python/bin"
    ln -sf /usr/bin/python3.11 "$folder/opt/python/bin/python3.11"
    ;;
musl)
    mkdir -p "$folder"/{bin,dev,etc,lib,opt,proc,tmp}
    "$here/interpreter.sh" x86_64-linux-musl "$folder/opt/python"
    cp --dereference /lib/ld-musl-x86_64.so.1 "$folder/lib/"
    echo "127.0.0.1 localhost" >"$folder/etc/hosts"
    ;;
*)
    echo "no such root: $kind" >&2
    exit 2
    ;;
esac
"$here/python.sh" "$folder" -c 'import platform; print(platform.python_version(), platform.machine())'
