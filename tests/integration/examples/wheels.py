"""The development set's distributions as wheels, so that pip installs them elsewhere without a network."""

from __future__ import annotations

import zipfile
from email.parser import Parser
from importlib.metadata import Distribution
from pathlib import Path

from ...support.environment import with_requirements

PACKAGE = Path(__file__).parents[3] / "python" / "otel_rs"
MADE_ON_INSTALLATION = {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json"}


def packed(folder: Path, *names: str) -> Path:
    """The folder, with a wheel of each distribution and of what it requires."""
    folder.mkdir()
    for each in with_requirements(*names):
        pack(each, folder)
    return folder


def pack(each: Distribution, folder: Path) -> None:
    files = dict(files_of(each))
    (info,) = {name.split("/")[0] for name in files if name.endswith(".dist-info/WHEEL")}
    tags = Parser().parsestr(each.read_text("WHEEL") or "").get_all("Tag", [])
    parts = zip(*(tag.split("-") for tag in tags), strict=True)
    tag = "-".join(".".join(dict.fromkeys(part)) for part in parts)
    # Stored: to compress takes longer than anything else here.
    with zipfile.ZipFile(folder / f"{info.removesuffix('.dist-info')}-{tag}.whl", "w") as wheel:
        for name, path in files.items():
            wheel.write(path, name)
        wheel.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"]))


def files_of(each: Distribution) -> list[tuple[str, Path]]:
    """What is in its wheel: the name there, and the file here."""
    files = [
        (file.as_posix(), Path(str(file.locate())))
        for file in each.files or []
        if ".." not in file.parts and file.name not in MADE_ON_INSTALLATION and file.suffix not in (".pyc", ".pth")
    ]
    if each.name == "otel-rs":  # in development it is used in place
        files += [
            (path.relative_to(PACKAGE.parent).as_posix(), path)
            for path in sorted(PACKAGE.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        ]
    return files
