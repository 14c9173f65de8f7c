"""Where and with what the figures were made: the header of every table."""

import os
import platform
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

# Printed in the header; the saved results name every installed package.
HEADER_PACKAGES = (
    "otel-rs",
    "opentelemetry-api",
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-grpc",
    "opentelemetry-exporter-otlp-proto-http",
    "grpcio",
    "protobuf",
    "requests",
)


def cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def operating_system() -> str:
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.system()} {platform.release()}"
    except (OSError, KeyError):
        return platform.platform()


def header() -> dict[str, Any]:
    packages = {each.metadata["Name"]: each.version for each in metadata.distributions()}
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "os": operating_system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": dict(sorted(packages.items(), key=lambda item: item[0].lower())),
    }


def line(about: dict[str, Any]) -> str:
    """The header in words."""
    versions = ", ".join(f"{name} {about['packages'].get(name, '(missing)')}" for name in HEADER_PACKAGES)
    load = f"load {about['load_average']:.2f}; " if about["load_average"] is not None else ""
    return f"{about['cpu']}, {about['cores']} cores, {load}{about['os']}; {about['python']}\n{versions}"
