"""Images made of a Dockerfile, and containers of them, without a container engine: by chroot and by namespaces.

It takes what the Dockerfiles of the examples have. An image is a folder, and a stage begins with a copy of it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

# What a container may write to, and what it needs of /dev.
MOUNTED = """
set -e
mount --bind "$0" "$0"
mount -o remount,bind,ro "$0"
mount -t tmpfs tmpfs "$0/dev/shm"
exec chroot --userspec="$1" "$0" /usr/bin/env -i --chdir="$2" -- "${@:3}"
"""


@dataclass
class Image:
    root: Path
    environment: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/bin:/bin"}
    )
    folder: str = "/"
    user: str = "0:0"
    command: list[str] = field(default_factory=list)

    def run(self, command: str, **more: str) -> None:
        """As RUN does: by a shell, with what the image has set so far."""
        inside = ["/usr/bin/env", "-i", f"--chdir={self.folder}", *_assigned(self.environment | more), "/bin/sh", "-c"]
        whole = ["chroot", f"--userspec={self.user}", self.root, *inside, command]
        done = subprocess.run(whole, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, f"RUN {command}\n{done.stdout}\n{done.stderr}"

    def container(self, **environment: str) -> list[str]:
        """The command that runs the image as a process 1, with a root that it cannot write to, but /dev/shm."""
        script = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", MOUNTED]
        return [
            *script,
            str(self.root),
            self.user,
            self.folder,
            *_assigned(self.environment | environment),
            *self.command,
        ]


@contextmanager
def built(dockerfile: str, context: Path, folder: Path, base: Callable[[str], Path], **more: str) -> Iterator[Image]:
    """The image that `docker build` makes of the Dockerfile; `base` knows the images that it names.

    RUN has the variables in `more` besides. The new folder takes hundreds of megabytes, and is removed at the end.
    """
    folder.mkdir()
    try:
        yield Build(dockerfile, context, folder, base, **more).image
    finally:
        shutil.rmtree(folder)


class Build:
    """Carries out the instructions of a Dockerfile."""

    def __init__(self, dockerfile: str, context: Path, folder: Path, base: Callable[[str], Path], **more: str) -> None:
        self._context, self._folder, self._base, self._more = context, folder, base, more
        self._stages: dict[str, Image] = {}
        for instruction, rest in instructions(dockerfile):
            getattr(self, f"_{instruction.lower()}")(rest)

    @property
    def image(self) -> Image:
        return list(self._stages.values())[-1]

    def _from(self, rest: str) -> None:
        base, _, name = rest.partition(" AS ")
        root = self._folder / f"stage-{len(self._stages)}"
        # Links where it can: what is installed replaces files, and changes none in its place.
        links = ["-l"] if self._base(base).stat().st_dev == self._folder.stat().st_dev else []
        subprocess.run(["cp", "-a", *links, self._base(base), root], check=True)
        self._stages[name or str(len(self._stages))] = Image(root)

    def _workdir(self, rest: str) -> None:
        self.image.folder = rest
        self._inside(self.image, rest).mkdir(parents=True, exist_ok=True)

    def _env(self, rest: str) -> None:
        earlier = self.image.environment  # the variables of one instruction do not see one another
        written = (assignment.partition("=") for assignment in shlex.split(rest))
        new = {name: re.sub(r"\$(\w+)", lambda match: earlier[match[1]], value) for name, _, value in written}
        self.image.environment = earlier | new

    def _user(self, rest: str) -> None:
        self.image.user = rest

    def _cmd(self, rest: str) -> None:
        self.image.command = json.loads(rest)  # a list, as it is in an image that gets its signals

    def _run(self, rest: str) -> None:
        self.image.run(rest, **self._more)

    def _copy(self, rest: str) -> None:
        *sources, target = (word for word in rest.split() if not word.startswith("--"))
        stage = re.search(r"--from=(\S+)", rest)
        to = self._inside(self.image, target)
        for source in sources:
            path = self._inside(self._stages[stage[1]], source) if stage else self._context / source
            if path.is_dir():
                shutil.copytree(path, to, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy(path, to / path.name if target.endswith("/") else to)

    def _inside(self, image: Image, path: str) -> Path:
        return image.root / os.path.join(image.folder, path).lstrip("/")


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """The instructions in their order, each with what follows it."""
    lines = "".join(f"{line}\n" for line in dockerfile.splitlines() if not line.startswith("#"))
    whole = re.sub(r"\\\n\s*", "", lines).splitlines()
    return [(word, rest) for line in whole if line for word, _, rest in [line.partition(" ")]]


def required() -> None:
    """Skips the test where there is no chroot or no namespace to be had."""
    probe = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", "mount -t tmpfs tmpfs /mnt && chroot / true"]
    if os.geteuid() != 0 or subprocess.run(probe, capture_output=True).returncode != 0:
        pytest.skip("an image is tried by chroot and in namespaces of its own, which root alone can make here")


def _assigned(environment: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in environment.items()]
