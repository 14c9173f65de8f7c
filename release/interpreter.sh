#!/usr/bin/env bash
# interpreter.sh TARGET PREFIX: compiles CPython 3.11 for another C library with zig and installs it into PREFIX. TARGET is
# zig's: x86_64-linux-musl, or x86_64-linux-gnu.2.17, which runs on every glibc since 2012.
#
# The sources are Debian's. It has what pip and a smoke test need; no ssl or sqlite3. ZIG names the compiler.
set -euo pipefail
source "$(dirname "$0")/../tests/matrix/apt.sh"

target=$1
prefix=$(realpath --canonicalize-missing "$2")
work=$prefix.build
zig=${ZIG:-zig}
name=3.11

# Without much optimisation: it is for smoke tests.
export OPT='-O1 -DNDEBUG'

# The build runs what it has compiled.
if [[ $target == *musl* && ! -e /lib/ld-musl-${target%%-*}.so.1 ]]; then
    apt-get install -y -qq --no-install-recommends musl
fi

rm -rf "$work" "$prefix"
own_apt "$work/apt" deb-src bookworm
cd "$work"
"${apt_get[@]}" -qq source --download-only "python$name" zlib libffi
for package in "python$name" zlib libffi; do
    mkdir "$package"
    tar --extract --strip-components 1 --directory "$package" --file "$package"_*.orig.tar.*
done

machine=${target%%-*}
# zig refuses __DATE__, of which a build is not reproducible, and links programs for musl statically unless told otherwise.
# What it adds to code without optimisation, to find undefined behaviour, wants a newer musl than Debian's.
options=(-target "$target" -Wno-date-time -fno-sanitize=undefined)
[[ $target == *musl* ]] && options+=(-dynamic)
export CC="$zig cc ${options[*]}" AR="$zig ar" RANLIB="$zig ranlib"
libraries=$work/libraries
export CFLAGS="-O2 -fPIC"
(cd zlib && CHOST=linux ./configure --static --prefix="$libraries" >/dev/null && make --silent install >/dev/null)
(cd libffi && ./configure --quiet --host="$machine-linux" --disable-shared --disable-docs --disable-exec-static-tramp \
    --disable-multi-os-directory --prefix="$libraries" >/dev/null && make --silent install >/dev/null)
unset CFLAGS
cd "python$name"
ctypes=$(printf '_ctypes/%s.c ' _ctypes callbacks callproc stgdict cfield)
has="-DHAVE_FFI_PREP_CIF_VAR -DHAVE_FFI_PREP_CLOSURE_LOC -DHAVE_FFI_CLOSURE_ALLOC"
cat >Modules/Setup.local <<END
binascii binascii.c -I$libraries/include $libraries/lib/libz.a
zlib zlibmodule.c -I$libraries/include $libraries/lib/libz.a
_ctypes $ctypes $has -I$libraries/include $libraries/lib/libffi.a
*disabled*
_bz2 _curses _curses_panel _dbm _gdbm _hashlib _lzma _sqlite3 _ssl _tkinter _uuid nis ossaudiodev readline spwd
END
# The headers of this machine's own C library are not for it.
sed -i 's/^    def add_multiarch_paths(self):/&\n        return/' setup.py
# Newer than the musl of many systems.
export ac_cv_func_preadv2=no ac_cv_func_pwritev2=no
./configure --quiet --prefix="$prefix" --disable-test-modules --without-ensurepip
# This release does not tell the two apart, as distributions' packages of it do.
[[ $target == *musl* ]] && sed -i "s/$machine-linux-gnu/$machine-linux-musl/g" Makefile Makefile.pre
touch Makefile
make --silent --jobs "${JOBS:-2}" >/dev/null
make --silent install >/dev/null
"$prefix/bin/python$name" -c 'import ctypes, select, sys, zlib; print(sys.version, sys.implementation._multiarch)'
rm -rf "$work"
