"""Makes THIRD_PARTY_LICENSES.txt: the licences of everything that a wheel has compiled in, and their texts.

`licenses.py --check` only says whether the file is current. It needs cargo and the crates' sources, which cargo gets if
they are missing.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FILE = ROOT / "THIRD_PARTY_LICENSES.txt"

# The platforms that wheels are built for.
TARGETS = [
    *(f"{machine}-unknown-linux-{libc}" for machine in ("x86_64", "aarch64") for libc in ("gnu", "musl")),
    *(f"{machine}-apple-darwin" for machine in ("x86_64", "aarch64")),
    "x86_64-pc-windows-msvc",
]

# Texts of licences, and what a licence asks to be passed on with it. COPYING of zstd is the GPL, the other of its two
# licences. The documents of a crate are not part of it.
TEXTS = re.compile(r"(?:.*[-_.])?(?:LICEN[CS]E|NOTICE|UNLICENSE)(?:[-_.].*)?", re.IGNORECASE)
APACHE = "Apache-2.0"
# Its package was published without the text. This one is from the same repository.
SAME_REPOSITORY = {"tonic-prost": "tonic"}

HEAD = """\
What the compiled part of otel-rs contains besides its own code, under which licences, and their texts.
Made by release/licenses.py from Cargo.lock and the packages' own files.

Where a package leaves the choice between licences and Apache-2.0 is one of them, otel-rs takes Apache-2.0. Its text is
in the file LICENSE. The Rust standard library is compiled in, too: "MIT OR Apache-2.0", see https://www.rust-lang.org.
"""


def linked() -> list[tuple[str, str]]:
    """Names and versions of the packages that are compiled in on any of the platforms."""
    command = ["cargo", "tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]
    command += [word for target in TARGETS for word in ("--target", target)]
    lines = subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()
    found = {(name, version.removeprefix("v")) for name, version in (line.split()[:2] for line in lines if line)}
    return sorted(package for package in found if not package[0].startswith("otel-rs"))


def packages() -> dict[tuple[str, str], dict[str, Any]]:
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    return {(package["name"], package["version"]): package for package in metadata["packages"]}


def needs_text(expression: str) -> bool:
    """Whether a part of the licence is not to be had as Apache-2.0."""
    parts = re.split(r"\s+AND\s+(?![^(]*\))", expression.replace("/", " OR "))
    return any(APACHE not in re.split(r"[\s()]+", part) for part in parts)


def texts(folder: Path) -> list[str]:
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if TEXTS.fullmatch(file.name) and file.suffix not in (".rs", ".py", ".sh") and file.is_file()
    ]
    found = [file.read_text(errors="replace").replace("\r\n", "\n").strip("\n") for file in files]
    return [text for text in found if not text.lstrip().startswith("Apache License")]


def made() -> str:
    all_packages = packages()
    by_text: dict[str, list[str]] = defaultdict(list)
    table = []
    folders = {name: Path(package["manifest_path"]).parent for (name, _), package in all_packages.items()}
    for name, version in linked():
        package = all_packages[name, version]
        expression = package["license"] or sys.exit(f"{name} does not say under which licence it is")
        table.append(f"{name} {version}: {expression}")
        folder = Path(package["manifest_path"]).parent
        notices = [file.read_text().strip("\n") for file in sorted(folder.glob("NOTICE*"))]
        if needs_text(expression):
            found = texts(folder) or texts(folders[SAME_REPOSITORY.get(name, name)])
            if not found:
                sys.exit(f"{name} {version} ({expression}) has no text of its licence")
        else:
            found = notices
        for text in found:
            by_text[text].append(f"{name} {version}")
    lines = [HEAD, *table]
    for text, users in sorted(by_text.items(), key=lambda item: item[1]):
        lines += ["", "-" * 120, ", ".join(dict.fromkeys(users)), "-" * 120, "", text]
    return "\n".join(line.rstrip() for line in "\n".join(lines).splitlines()) + "\n"


def main() -> None:
    text = made()
    if "--check" not in sys.argv:
        FILE.write_text(text)
    elif not FILE.exists() or FILE.read_text() != text:
        sys.exit(f"{FILE.name} is not that of Cargo.lock: run `make licenses`")


if __name__ == "__main__":
    main()
