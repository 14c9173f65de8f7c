#!/usr/bin/env bash
# unpack_interpreter.sh NAME PREFIX: CPython NAME (3.14) from Debian's newest suites, with the libraries that it needs,
# unpacked into PREFIX; nothing is installed on the machine. PREFIX/bin/pythonNAME runs on any x86_64 or aarch64 Debian.
set -euo pipefail
source "$(dirname "$0")/apt.sh"

name=$1
prefix=$(realpath --canonicalize-missing "$2")
work=$prefix.build

command -v patchelf >/dev/null || apt-get install -y -qq --no-install-recommends patchelf

rm -rf "$work" "$prefix"
own_apt "$work/apt" deb sid
"${apt_get[@]}" -qq --no-install-recommends --download-only -y install "python$name-venv" "libpython$name-dev"
mkdir -p "$prefix"
# Today's packages have everything under /usr; these links are what the base system has beside it.
mkdir -p "$prefix"/usr/{bin,sbin,lib,lib64}
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$prefix/$folder"; done
for package in "$work"/apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar --extract --keep-directory-symlink --directory "$prefix"
done
rm -rf "$work"

# The newer C library has a loader of its own. Its path is in the program, so that neither a wrapper nor
# LD_LIBRARY_PATH is needed, which the interpreter's child processes would inherit.
libraries=$prefix/usr/lib/$(gcc -print-multiarch)
loader=$(echo "$libraries"/ld-linux-*.so.*)
patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$prefix/usr/bin/python$name"

# Debian's ensurepip looks for pip's wheel in /usr.
sed -i "s#/usr/share/python-wheels#$prefix/usr/share/python-wheels#" \
    "$prefix/usr/lib/python$name"/_sysconfigdata_*.py "$prefix/usr/lib/python$name/ensurepip/__init__.py"
"$prefix/bin/python$name" -c 'import bz2, ctypes, lzma, sqlite3, ssl, sys, uuid, zlib; print(sys.version)'
