"""Checks wheels: their sizes, what they want of the C library (auditwheel), and that each works where it is installed.

    python check_wheels.py dist/wheels/*.whl

A wheel for this machine is installed in an empty environment of its Python; others, on Debian as root, in the roots of
root.sh. What nothing here can run is audited alone, and its result says so. Each result is kept in `results/`; table.py
makes the table in docs/platforms.md of them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent
RESULTS = HERE / "results"
SMOKE = HERE / "smoke.py"
WORK = ROOT / ".cache/wheels"
ROOTS = ROOT / ".cache/roots"

WHEEL_LIMIT = 5_000_000
EXTENSION_LIMIT = 10_000_000
MACHINE = platform.machine()

# The roots that wheels for CPython 3.11 can be run in besides this machine, by their platform.
ROOT_PYTHON = "cp311"
RUNS_IN = {
    "manylinux_2_17_x86_64": "debian11",
    "manylinux_2_17_aarch64": "aarch64",
    "musllinux_1_2_x86_64": "musl",
}
PROBE = """
import os, platform
lines = open("/etc/os-release").read().splitlines() if os.path.exists("/etc/os-release") else []
name = dict(line.partition("=")[::2] for line in lines if "=" in line).get("PRETTY_NAME", "Linux").strip('"')
libc = " ".join(platform.libc_ver()) if platform.libc_ver()[0] == "glibc" else "musl"
print(f"{name} {platform.machine()}, {libc}, CPython {platform.python_version()}")
"""


class Failure(Exception):
    pass


def output(command: list[str | Path], **options: Any) -> str:
    ended = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if ended.returncode:
        raise Failure(f"{' '.join(map(str, command))} ended with {ended.returncode}:\n{ended.stdout}")
    return ended.stdout


def sizes(wheel: Path, profile: str) -> dict[str, int]:
    with zipfile.ZipFile(wheel) as archive:
        extension = next(entry for entry in archive.infolist() if re.search(r"_native.*\.(so|pyd)$", entry.filename))
        names = archive.namelist()
    for needed in ("licenses/LICENSE", "licenses/THIRD_PARTY_LICENSES.txt", "py.typed", ".cyclonedx.json"):
        if not any(name.endswith(needed) for name in names):
            raise Failure(f"{wheel.name} has no {needed}")
    found = {"wheel": wheel.stat().st_size, "extension": extension.file_size}
    if profile == "release" and (found["wheel"] > WHEEL_LIMIT or found["extension"] > EXTENSION_LIMIT):
        raise Failure(f"{wheel.name} is too large: {found}")
    return found


def audit(wheel: Path) -> str:
    """The oldest platform that auditwheel finds the wheel to be good for, which must be that of its name."""
    if "linux" not in wheel.name:
        return "not for Linux"
    said = " ".join(output([sys.executable, "-m", "auditwheel", "show", wheel]).split())
    # auditwheel knows musl by the name that Alpine's has. zig's is the one that musl has itself; the loader takes both.
    if "-musllinux" in wheel.name and said.endswith("will need to be eliminated: libc.so"):
        return wheel.stem.rpartition("-")[2]
    consistent = re.search(r'consistent with the following platform tag: "(\w+)"', said)
    if not consistent:
        raise Failure(f"auditwheel finds no platform for {wheel.name}: {said}")
    if consistent[1] not in wheel.stem.rpartition("-")[2].split("."):
        raise Failure(f"{wheel.name} is good for {consistent[1]}")
    return consistent[1]


def interpreter(tag: str) -> Path | None:
    """This machine's Python of a wheel's tag (cp310, cp314t)."""
    if tag == f"cp{sys.version_info[0]}{sys.version_info[1]}{getattr(sys, 'abiflags', '')}":
        return Path(sys.executable)
    name = re.sub(r"cp3(\d+)", r"3.\1", tag)
    own = ROOT / f".cache/interpreters/{name}/bin/python{name}"
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{name}.*/bin/python{name}"))
    candidates = [own, *reversed(pyenv), Path(shutil.which(f"python{name}") or own)]
    return next((path for path in candidates if path.exists()), None)


def in_empty_environment(wheel: Path, python: Path) -> dict[str, str]:
    venv = WORK / "venv"
    shutil.rmtree(venv, ignore_errors=True)
    output([python, "-m", "venv", venv])
    python = next(path for path in (venv / "bin/python", venv / "Scripts/python.exe") if path.exists())
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--only-binary=:all:"]
    output([*pip, wheel])
    return {"in": output([python, "-c", PROBE]).strip(), "smoke": output([python, "-I", SMOKE], cwd=WORK).strip()}


def in_root(wheel: Path, kind: str) -> dict[str, str]:
    """Installed by pip in the root, from files: it need not have a way out."""
    root = ROOTS / kind
    if not (root / "opt/python").exists():
        output([HERE / "root.sh", kind, root], env={**os.environ, "ZIG": f"{sys.executable} -m ziglang"})
    python = [HERE / "python.sh", root]
    files, venv = root / "wheels", "/opt/venv"
    for folder in (files, root / "opt/venv"):
        shutil.rmtree(folder, ignore_errors=True)
    files.mkdir()
    (root / "tmp").mkdir(exist_ok=True)
    shutil.copy(wheel, files)
    shutil.copy(SMOKE, files)
    interpreter, abi, platforms = wheel.stem.split("-")[2:]
    # What pip would choose there; otel-rs's own file is found by --find-links.
    options = [f"--platform={name}" for name in platforms.split(".")]
    options += ["--python-version", interpreter.removeprefix("cp"), "--abi", abi, "--implementation", "cp"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--only-binary=:all:"]
    output([*pip, *options, "--find-links", files, "--dest", files, wheel, "pip"])
    (pip_wheel,) = (f"/wheels/{file.name}" for file in files.glob("pip-*.whl"))
    output([*python, "-m", "venv", "--without-pip", venv])
    venv_python = ["env", f"PYTHON={venv}/bin/python", *python]
    install = ["install", "--quiet", "--no-index", "--find-links", "/wheels", "otel-rs"]
    output([*venv_python, f"{pip_wheel}/pip", *install])
    by = "by chroot" if wheel.stem.endswith(MACHINE) else "by chroot and QEMU"
    return {
        "in": f"{output([*venv_python, '-c', PROBE]).strip()}, {by}",
        "smoke": output([*venv_python, "-I", "/wheels/smoke.py"]).strip(),
    }


def versions() -> dict[str, str]:
    names = {"rustc": ["rustc", "--version"], "zig": [sys.executable, "-m", "ziglang", "version"]}
    found = {name: re.sub(r" \(.*", "", output(command).strip()) for name, command in names.items()}
    maturin = output([sys.executable, "-m", "maturin", "--version"]).split()[1]
    return {"maturin": maturin, "rustc": found["rustc"].removeprefix("rustc "), "zig": found["zig"]}


def check(wheel: Path, profile: str, commit: str) -> dict[str, Any]:
    abi, platforms = wheel.stem.split("-", 4)[3:]
    audited = audit(wheel)
    result: dict[str, Any] = {
        "wheel": wheel.name,
        "date": datetime.date.today().isoformat(),
        "commit": commit,
        **versions(),
        "profile": profile,
        "bytes": sizes(wheel, profile),
        "audit": audited,
    }
    python = interpreter(abi) if is_native(platforms) else None
    ran = [in_empty_environment(wheel, python)] if python else []
    if audited in RUNS_IN and abi == ROOT_PYTHON and can_make_roots():
        ran.append(in_root(wheel, RUNS_IN[audited]))
    return {**result, "ran": ran}


def is_native(platforms: str) -> bool:
    system = {"linux": "manylinux", "darwin": "macosx", "win32": "win"}[sys.platform]
    return platforms.startswith(system) and platforms.endswith(MACHINE.lower())


def can_make_roots() -> bool:
    release = Path("/etc/os-release")
    return release.exists() and "\nID=debian\n" in release.read_text() and os.geteuid() == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="release", help="cargo's; only released wheels must be small")
    parser.add_argument("wheels", nargs="+", type=Path)
    WORK.mkdir(parents=True, exist_ok=True)
    RESULTS.mkdir(exist_ok=True)
    failed = []
    options = parser.parse_args()
    # Before the first result changes a file.
    commit = output(["git", "describe", "--always", "--dirty"], cwd=ROOT).strip()
    for wheel in options.wheels:
        try:
            result = check(wheel.resolve(), options.profile, commit)
        except Failure as failure:
            failed.append(wheel.name)
            print(f"{wheel.name}: {failure}", file=sys.stderr)
            continue
        (RESULTS / f"{wheel.stem.split('-', 3)[3]}.json").write_text(json.dumps(result, indent=2) + "\n")
        print(f"{wheel.name}: {result['bytes']}, {result['audit']}")
        for run in result["ran"] or [{"in": "not run: nothing here runs it"}]:
            print(f"  {run['in']}: {run.get('smoke', '')}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
