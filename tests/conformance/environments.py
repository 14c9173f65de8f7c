"""The files for the suites, in `.cache/conformance`: upstream's source distributions, an environment for each version
of opentelemetry-sdk, and one for the instrumentations. Their Pythons call `otel_rs.install()` at every start.

Everything comes from the package index that pip uses. A stamp file records the contents of an environment; an
environment with the same contents is reused.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from otel_rs.installation.releases import NEWEST

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "conformance"
# Distinguishes Pythons whose extension modules are incompatible. Read here: `sysconfig` gives the second of two threads
# that ask for the first time nothing.
ABI: str = sysconfig.get_config_var("SOABI")
PYTHON_SOURCE = ROOT / "python"

SDK = "opentelemetry-sdk"
API = "opentelemetry-api"
EXPORTERS = ("opentelemetry-exporter-otlp-proto-grpc", "opentelemetry-exporter-otlp-proto-http")
ENCODERS = "opentelemetry-exporter-otlp-proto-common"
CONFIGURATION = "opentelemetry-configuration"
CONTRIB = "opentelemetry-instrumentation"
TEST_UTILS = "opentelemetry-test-utils"
# Other packages that the tests import, in the versions of the development set.
TEST_TOOLS = (
    "asgiref",
    "grpcio",
    "googleapis-common-protos",
    "protobuf",
    "pytest",
    "pytest-timeout",
    "requests",
    "urllib3",
)
CONTRIB_TEST_TOOLS = (
    "aiosqlite==0.22.1",
    "asgiref",
    "asyncpg",
    "celery",
    "django",
    "fakeredis==2.40.0",
    # Not the development set's: of the instrumentation's tests seven fail with it, on the stock SDK, too.
    "fastapi==0.141.0",
    "flask",
    "grpcio",
    "httpretty==1.1.4",
    "httpx",
    "httpx2==2.16.2",
    "mocket==3.15.0",
    # What the code that the tests have made for gRPC is for.
    "protobuf==3.20.3",
    "psutil==7.2.2",
    "pytest",
    "pytest-rerunfailures==16.7",
    "pytest-timeout",
    "redis",
    "requests",
    "respx==0.23.1",
    # The last whose applications have the decorators for routes that the tests use.
    "starlette==0.52.1",
    "sqlalchemy[asyncio]",
)
# What all of upstream's source distributions are built with.
BUILD_TOOL = "hatchling==1.33.0"

SECONDS_UNTIL_LATEST_IS_ASKED_AGAIN = 24 * 3600


@dataclass(frozen=True)
class Environment:
    """The sources of packages of one version, and an environment where they are installed."""

    version: str
    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"

    def source(self, package: str) -> Path:
        return self.folder / "source" / package


def of_sdk(version: str) -> Environment:
    """One version of the SDK and its exporters. The configuration's versions are those of packages that are not stable:
    the first with 1.0 of the SDK was 0.21b0."""
    minor, patch = re.match(r"\d+\.(\d+)\.(\d+)", version).groups()
    stable = [f"{package}=={version}" for package in (API, SDK, *EXPORTERS, ENCODERS)]
    packages = [*stable, f"{CONFIGURATION}==0.{int(minor) + 21}b{patch}"]
    return _prepare(version, packages, TEST_TOOLS)


def of_contrib(instrumentations: list[str]) -> Environment:
    """The pinned version of the instrumentations, with the pinned SDK."""
    version = pinned(CONTRIB)
    packages = [f"{instrumentation}=={version}" for instrumentation in instrumentations]
    return _prepare(version, packages, (f"{SDK}=={pinned(SDK)}", *CONTRIB_TEST_TOOLS))


def _prepare(version: str, packages: list[str], tools: tuple[str, ...]) -> Environment:
    """The packages are those whose tests are run."""
    environment = Environment(version, CACHE / ABI / version)
    stamp = environment.folder / ".made-of"
    requirements = [*packages, *tools, BUILD_TOOL]
    made_of = json.dumps([sys.version, sys.base_prefix, _constraints(tools), requirements, _start_line()])
    if stamp.exists() and stamp.read_text() == made_of:
        return environment
    print(f"preparing {packages[0].replace('==', ' ')} in {environment.folder.relative_to(ROOT)}", flush=True)
    shutil.rmtree(environment.folder, ignore_errors=True)
    environment.folder.mkdir(parents=True)
    _make_virtual_environment(environment, requirements, _constraints(tools))
    for package, archive in _source_distributions(environment, packages).items():
        _unpack(archive, environment.source(package))
    stamp.write_text(made_of)
    return environment


def _make_virtual_environment(environment: Environment, requirements: list[str], constraints: list[str]) -> None:
    file = environment.folder / "constraints.txt"
    file.write_text("\n".join(constraints) + "\n")
    _run(sys.executable, "-m", "venv", str(environment.folder / "venv"))
    pip = (str(environment.python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    _run(*pip, "--constraint", str(file), *requirements)
    # It requires the SDK of its own version, and does not exist for every version of the SDK.
    _run(*pip, "--no-deps", f"{TEST_UTILS}=={pinned(TEST_UTILS)}")
    # The last step: from now on every start of this Python calls `install`, also in subprocesses.
    site_packages = next((environment.folder / "venv" / "lib").glob("python*/site-packages"))
    (site_packages / "otel_rs.pth").write_text(_start_line())


def _constraints(tools: tuple[str, ...]) -> list[str]:
    """The development set, without the packages whose version follows the SDK's, and those with a version here."""
    elsewhere = tuple(f"{tool.partition('==')[0]}==" for tool in tools if "==" in tool)
    lines = (ROOT / "requirements-dev.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "opentelemetry-", *elsewhere))]


def _start_line() -> str:
    return f"{PYTHON_SOURCE}\nimport otel_rs; otel_rs.install()\n"


# --- Versions ---------------------------------------------------------------------------------------------------------


def pinned(package: str) -> str:
    requirements = (ROOT / "requirements-dev.txt").read_text()
    if found := re.search(rf"^{re.escape(package)}==(\S+)$", requirements, re.MULTILINE):
        return found[1]
    raise LookupError(f"requirements-dev.txt does not pin {package}")


def oldest() -> str:
    """The first release that pyproject.toml allows."""
    lower = re.search(r">=([\d.]+)", _declared())
    if lower is None:
        raise LookupError(f"pyproject.toml sets no oldest {SDK}: {_declared()}")
    # 1.45 and 1.45.0 are the same version, and the registry's name for it has three parts.
    return ".".join([*lower[1].split("."), "0", "0"][:3])


def latest() -> str:
    """The latest release that otel-rs knows; the index is asked once a day."""
    answer = CACHE / "latest.json"
    known = json.loads(answer.read_text()) if answer.exists() else None
    wanted = f"{_declared()},<{NEWEST[0]}.{NEWEST[1] + 1}"
    if known and known["declared"] == wanted:
        if time.time() - known["asked"] < SECONDS_UNTIL_LATEST_IS_ASKED_AGAIN:
            return known["version"]
    else:
        known = None
    try:
        version = _version_of(_latest_source_distribution(wanted))
    except subprocess.CalledProcessError:
        if known is None:
            raise
        print(f"the package index does not answer; the latest {SDK} is taken to be {known['version']}", file=sys.stderr)
        return known["version"]
    answer.parent.mkdir(parents=True, exist_ok=True)
    answer.write_text(json.dumps({"declared": wanted, "version": version, "asked": time.time()}))
    return version


def newest() -> str:
    """The newest there is that pyproject.toml allows, known or not, and before it is released."""
    return _version_of(_latest_source_distribution(_declared(), "--pre"))


def _declared() -> str:
    """The requirement in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return next(line for line in project["dependencies"] if re.match(rf"{SDK}\b", line))


# --- Source distributions ---------------------------------------------------------------------------------------------


def _source_distributions(environment: Environment, requirements: list[str]) -> dict[str, Path]:
    """The archives, by the package's name. The environment has the build tool: making one for each takes seconds."""
    folder = environment.folder / "archives"
    pip = (str(environment.python), "-m", "pip", "--disable-pip-version-check", "download", "--quiet")
    how = ("--no-deps", "--no-build-isolation", "--no-binary", ":all:", "--dest", str(folder))
    _run(*pip, *how, *requirements)
    archives = {_package_of(archive): archive for archive in folder.glob("*.tar.gz")}
    return {package: archives[package] for package in (requirement.partition("==")[0] for requirement in requirements)}


def _latest_source_distribution(requirement: str, *options: str) -> Path:
    with tempfile.TemporaryDirectory() as folder:
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet")
        package = re.match(r"[\w-]+", requirement)[0]
        _run(*pip, *options, "--no-deps", "--no-binary", package, "--dest", folder, requirement)
        (archive,) = Path(folder).glob("*.tar.gz")
    return archive


def _package_of(archive: Path) -> str:
    return archive.name.rpartition("-")[0].replace("_", "-")


def _version_of(archive: Path) -> str:
    return archive.name.removesuffix(".tar.gz").rpartition("-")[2]


def _unpack(archive: Path, folder: Path) -> None:
    """Unpacks the tests, but no sources, so that only the installed package can be imported."""
    with tarfile.open(archive) as files:
        for member in files:
            inside = Path(*Path(member.name).parts[1:])
            if member.isfile() and inside.parts[0] == "tests" and ".." not in inside.parts:
                target = folder / inside
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(files.extractfile(member).read())


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
