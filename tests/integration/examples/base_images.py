"""What stands for the images of Python that a Dockerfile names: this Python, a shell, and the libraries of both."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from ...support.environment import SITE_PACKAGES

TOOLS = ["sh", "env", "mkdir", "cp", "chmod", "ls", "id", "cat"]
# What every Debian image has besides what these programs are linked with.
ALWAYS_THERE = ["libgcc_s.so.1", "libstdc++.so.6", "librt.so.1", "libpthread.so.0", "libdl.so.2", "libm.so.6"]
LEFT_OUT = shutil.ignore_patterns("site-packages", "dist-packages", "test", "config-*", "idlelib", "tkinter")


def of_this_python(folder: Path) -> Path:
    """A root with this Python in /usr/local, pip, and no /proc and no /etc/ssl."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    stdlib = folder / "usr" / "local" / "lib" / version
    shutil.copytree(sysconfig.get_path("stdlib"), stdlib, ignore=LEFT_OUT, symlinks=True)
    shutil.copytree(SITE_PACKAGES / "pip", stdlib / "site-packages" / "pip")
    binaries = folder / "usr" / "local" / "bin"
    binaries.mkdir()
    pip = binaries / "pip"
    pip.write_text('#!/bin/sh\nexec python -m pip "$@"\n')
    pip.chmod(0o755)
    shutil.copy(os.path.realpath(sys.executable), binaries / version)
    for name in ("python", "python3"):
        (binaries / name).symlink_to(version)
    for name in ("bin", "sbin", "lib", "lib64"):
        (folder / "usr" / name).mkdir(exist_ok=True)
        (folder / name).symlink_to(f"usr/{name}")
    for tool in TOOLS:
        shutil.copy(str(shutil.which(tool)), folder / "usr" / "bin" / tool)
    for library in libraries_of([binaries / version, *(folder / "bin").iterdir(), *stdlib.glob("lib-dynload/*.so")]):
        place = folder / library.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)
    in_etc_and_dev(folder)
    return folder


def in_etc_and_dev(folder: Path) -> None:
    (folder / "etc").mkdir(exist_ok=True)
    for name, line in (("passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("group", "root:x:0:\n")):
        if not (folder / "etc" / name).exists():
            (folder / "etc" / name).write_text(line)
    for name in ("tmp", "dev/shm", "root"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "tmp").chmod(0o1777)
    for name, minor in (("null", 3), ("zero", 5), ("random", 8), ("urandom", 9)):
        device = folder / "dev" / name
        if not device.exists():
            os.mknod(device, 0o020666, os.makedev(1, minor))
            device.chmod(0o666)


def libraries_of(files: list[Path]) -> set[str]:
    linked = subprocess.run(["ldd", *files], capture_output=True, text=True).stdout
    cache = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    always = {match[1]: match[2] for match in re.finditer(r"^\s*(\S+) \(libc6.*=> (\S+)", cache, re.MULTILINE)}
    return {*re.findall(r"(?:=> |^\s)(/\S+)", linked, re.MULTILINE), *(always[name] for name in ALWAYS_THERE)}
