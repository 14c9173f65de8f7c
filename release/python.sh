#!/usr/bin/env bash
# python.sh FOLDER ARGUMENT...: the Python of a root of root.sh, in it.
set -euo pipefail
folder=$1
export PYTHON=${PYTHON:-/opt/python/bin/python3.11}
for file in null urandom; do [[ -e $folder/dev/$file ]] || { mkdir -p "$folder/dev"; cp -a "/dev/$file" "$folder/dev/"; }; done
mkdir -p "$folder/proc"
exec unshare --mount --propagation private sh -c \
    'mount -t proc proc "$0/proc" && exec chroot "$0" "$PYTHON" "$@"' "$folder" "${@:2}"
