"""Whether these files are those of a release: `release.py v0.1.0 dist/*.tar.gz dist/wheels/*.whl`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

from description import ROOT, repository


def faults(tag: str, files: list[Path]) -> list[str]:
    found = []
    if tag != f"v{version()}":
        found.append(f"the tag is {tag}, and Cargo.toml has version {version()}")
    if not re.search(rf"^## {re.escape(tag.removeprefix('v'))} - \d{{4}}-\d\d-\d\d$", changelog(), re.MULTILINE):
        found.append(f"CHANGELOG.md has no dated heading of {tag.removeprefix('v')}")
    host = urlsplit(repository()).hostname or ""
    if host.endswith(".example"):
        found.append(f"Repository in pyproject.toml is at {host}: put in the real one, and run `make description`")
    if not any(file.name.endswith(".tar.gz") for file in files) or not any(file.suffix == ".whl" for file in files):
        found.append("there must be a source distribution and wheels")
    for file in files:
        if file.name.removesuffix(".tar.gz").split("-")[1] != version():
            found.append(f"{file.name} is of another version")
    return found


def version() -> str:
    found = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
    assert found
    return found[1]


def changelog() -> str:
    return (ROOT / "CHANGELOG.md").read_text()


def main() -> None:
    if len(sys.argv) < 2 or not sys.argv[1].startswith("v"):
        sys.exit("say which release: make release-check TAG=v0.1.0")
    if wrong := faults(sys.argv[1], [Path(name) for name in sys.argv[2:]]):
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
