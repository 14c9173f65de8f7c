"""Virtual environments that hold a part of the development set, linked, so that none is installed anew."""

from __future__ import annotations

import sysconfig
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

SITE_PACKAGES = Path(sysconfig.get_path("purelib"))

# Folders that several distributions put files into.
EXPORTERS = ("opentelemetry", "exporter", "otlp", "proto")
SHARED = [EXPORTERS[:length] for length in range(1, len(EXPORTERS) + 1)]


def environment(folder: Path, *names: str) -> Path:
    """The Python of an environment with these distributions and what they require."""
    venv.create(folder, symlinks=True)
    (site_packages,) = folder.glob("lib/python3*/site-packages")
    for each in with_requirements(*names):
        for file in each.files or []:
            # Folders of several distributions are made, what is in them is linked. Other folders (bin) are not needed.
            parts = file.parts[: 1 + sum(shared == file.parts[: len(shared)] for shared in SHARED)]
            if parts[0] == ".." or parts[0] == "__pycache__":
                continue
            link = site_packages.joinpath(*parts)
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(SITE_PACKAGES.joinpath(*parts))
    return folder / "bin" / "python"


def with_requirements(*names: str) -> list[Distribution]:
    waiting, wanted = list(names), dict[str, Distribution]()
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted[name] = distribution(name)
            requirements = map(Requirement, wanted[name].requires or [])
            waiting += [r.name for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    return list(wanted.values())
