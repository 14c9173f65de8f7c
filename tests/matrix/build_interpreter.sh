#!/usr/bin/env bash
# build_interpreter.sh NAME PREFIX: compiles CPython NAME (3.14, or 3.14t without the GIL) and installs it into PREFIX.
#
# The source is Debian's, without Debian's patches: the newest of its suites that the archive has. The build is neither
# profiled nor optimised at link time: it is for tests, not for timings.
set -euo pipefail
source "$(dirname "$0")/apt.sh"

name=$1
prefix=$(realpath --canonicalize-missing "$2")
package=python${name%t}
work=$prefix.build

# For the modules that the tests need.
libraries=(libssl-dev zlib1g-dev libsqlite3-dev libffi-dev libbz2-dev liblzma-dev uuid-dev)
if ! dpkg-query -W "${libraries[@]}" >/dev/null 2>&1; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${libraries[@]}"
fi

rm -rf "$work"
own_apt "$work/apt" deb-src trixie forky sid
versions=$("${apt_cache[@]}" showsrc "$package" | sed -n 's/^Version: //p' | sort --version-sort --reverse --unique)
cd "$work"
for version in $versions; do
    # An index may name a source that the archive does not have.
    "${apt_get[@]}" -qq source --download-only "$package=$version" 2>/dev/null && break
done
tarballs=("$package"_*.orig.tar.*z)
[[ -e ${tarballs[0]} ]] || { echo "the archive has none of the sources of $package: $versions" >&2; exit 1; }

mkdir source
tar --extract --strip-components 1 --directory source --file "${tarballs[0]}"
cd source
options=()
[[ $name == *t ]] && options+=(--disable-gil)
./configure --quiet --prefix="$prefix" --disable-test-modules "${options[@]}"
make --silent --jobs "${JOBS:-2}" >/dev/null
make --silent install >/dev/null
"$prefix/bin/python$name" -c 'import bz2, ctypes, lzma, sqlite3, ssl, sys, uuid, zlib; print(sys.version)'
rm -rf "$work"
