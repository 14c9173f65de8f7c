"""Whether a wheel can be built of the source distribution alone, and works.

    python check_sdist.py [--profile dev] dist/otel_rs-0.1.0.tar.gz

pip builds it as it does for who has no wheel: in an empty environment, with an empty folder of cargo's, so that all
crates come from their registry.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORK = ROOT / ".cache/sdist"

# What a build, or who packages it again, needs besides the sources.
NEEDED = ["Cargo.lock", ".cargo/config.toml", "LICENSE", "THIRD_PARTY_LICENSES.txt", "release/description.md"]
# Belongs to the repository, or to a machine.
UNWANTED = [".git/", ".venv/", ".cache/", "target/", ".so", ".pyd"]


def check_contents(file: Path) -> None:
    with tarfile.open(file) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    wrong = [f"has no {name}" for name in NEEDED if name not in names]
    wrong += [f"has {name}" for name in names if name.startswith(tuple(UNWANTED)) or name.endswith(tuple(UNWANTED))]
    if wrong:
        sys.exit(f"{file.name} {', '.join(wrong[:5])}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", default="release")
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    check_contents(options.file)

    shutil.rmtree(WORK, ignore_errors=True)
    venv.create(WORK / "venv", with_pip=True)
    python = next(path for path in (WORK / "venv/bin/python", WORK / "venv/Scripts/python.exe") if path.exists())
    cargo_home = WORK / "cargo"
    cargo_home.mkdir()
    # The settings of the machine's registry, where it has some.
    settings = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "config.toml"
    if settings.exists():
        shutil.copy(settings, cargo_home)
    left_out = ("PYO3_", "CARGO_TARGET_DIR", "OTEL_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    environment |= {"CARGO_HOME": str(cargo_home), "MATURIN_PEP517_ARGS": f"--profile {options.profile}"}
    # rustup's programs find their toolchains by themselves; only the crates are somewhere else.
    environment.setdefault("RUSTUP_HOME", str(Path.home() / ".rustup"))
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--no-cache-dir", options.file.resolve()]
    subprocess.run(pip, cwd=WORK, env=environment, check=True)
    subprocess.run([python, "-I", ROOT / "release/smoke.py"], cwd=WORK, check=True)
    shutil.rmtree(WORK)


if __name__ == "__main__":
    main()
