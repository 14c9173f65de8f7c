"""The CPU of a program's start with everything set up, minus that of the program alone.

    python cold_start.py {stock,instrument,run} ENDPOINT INSTRUMENTATION [...]
    python cold_start.py size

The ways are opentelemetry-instrument with the stock distro, the same with ours, and `otel-rs run`. The program imports
Flask and requests and makes an application. User and system CPU of the whole process, children included, in
nanoseconds. `size` prints the resident memory of that program at rest, and what each SDK takes on disk.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

BIN = Path(sys.executable).parent
INSTRUMENT = [str(BIN / "opentelemetry-instrument"), sys.executable]
WAYS = {
    "none": ([sys.executable], {}),
    "stock": (INSTRUMENT, {"OTEL_PYTHON_DISTRO": "distro", "OTEL_PYTHON_CONFIGURATOR": "configurator"}),
    "instrument": (INSTRUMENT, {"OTEL_PYTHON_DISTRO": "rs"}),
    "run": ([str(BIN / "otel-rs"), "run"], {}),
}
PROGRAM = """
import flask, requests

app = flask.Flask("app")
"""
# The program tells what it takes before it ends, when nothing more is to come.
AT_REST = """
import resource, time
time.sleep(0.5)
pages = int(open("/proc/self/statm").read().split()[1])
print(pages * resource.getpagesize())
"""


def environment(way: str, endpoint: str, instrumentations: list[str]) -> dict[str, str]:
    """Every other instrumentation is disabled, as if it was not installed."""
    installed = {each.name for each in metadata.entry_points(group="opentelemetry_instrumentor")}
    return {
        **os.environ,
        **WAYS[way][1],
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join(sorted(installed - set(instrumentations))),
    }


def cpu(way: str, endpoint: str, instrumentations: list[str], program: str) -> int:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*WAYS[way][0], program], env=environment(way, endpoint, instrumentations), check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round((after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1e9)


def at_rest(way: str, program: str) -> int:
    command = [*WAYS[way][0], program]
    done = subprocess.run(
        command, env=environment(way, "http://127.0.0.1:1", ["flask", "requests"]), stdout=subprocess.PIPE, check=True
    )
    return int(done.stdout)


def on_disk(*names: str) -> dict[str, int]:
    """The bytes of each distribution of these and of what they require, byte code left out."""
    waiting, sizes = list(names), dict[str, int]()
    while waiting:
        distribution = metadata.distribution(waiting.pop())
        if distribution.name in sizes:
            continue
        files = [Path(str(file.locate())) for file in distribution.files or []]
        if distribution.name == "otel-rs":  # may be installed in place
            import otel_rs

            files = list(Path(otel_rs.__file__).parent.rglob("*"))
        sizes[distribution.name] = sum(
            file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc"
        )
        requirements = map(Requirement, distribution.requires or [])
        waiting += [each.name for each in requirements if each.marker is None or each.marker.evaluate({"extra": ""})]
    return sizes


def print_sizes() -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "program.py")
        program.write_text(PROGRAM + AT_REST)
        for way in WAYS:
            print(f"{way}: {min(at_rest(way, str(program)) for _ in range(3)) / 2**20:.1f} MiB resident at rest")
    stock, ours = on_disk("opentelemetry-distro", "opentelemetry-exporter-otlp"), on_disk("otel-rs")
    for name, sizes in (("stock", stock), ("otel-rs", ours)):
        own = {each: size for each, size in sizes.items() if each not in stock or each not in ours}
        largest = sorted(own.items(), key=lambda item: -item[1])[:4]
        text = ", ".join(f"{each} {size / 2**20:.1f}" for each, size in largest)
        print(f"{name}: {sum(sizes.values()) / 2**20:.1f} MiB on disk; not in the other one: {text}")


def main() -> None:
    if sys.argv[1:] == ["size"]:
        print_sizes()
        return
    way, endpoint, *instrumentations = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "program.py")
        program.write_text(PROGRAM)
        # Which one is first changes from run to run.
        order = ["none", way] if time.time_ns() // 1000 % 2 else [way, "none"]
        figures = {each: cpu(each, endpoint, instrumentations, str(program)) for each in order}
    print(json.dumps({"cpu": figures[way] - figures["none"], "items": 0}))


if __name__ == "__main__":
    main()
