"""Count the instructions of a request in each variant; needs valgrind.

    python benches/applications/instructions.py [--applications flask ...] [--requests N] [--quick] [--caches]

Unlike times, these counts are almost the same in each run, also on a busy machine. "app thread" does the requests; "all
threads" adds the sending of their spans and log records, in batches of the default size. What the program without
telemetry takes is subtracted. With --caches the app thread's misses are simulated, too, of caches as large as those of
a server's core. Each miss of the second level is some 50 cycles of waiting: they may cost as much as instructions do.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

sys.path.append(str(Path(__file__).parent.parent))
from child import APPLICATIONS, Child, environment
from prices import Prices
from received import Received
from variants import FULL, QUICK, Variant

WARM_UP = 100
# Just below a batch of 512 spans of a Flask request.
REQUESTS = 170
# The exports are asked for: a timer would send as often as valgrind is slow.
NO_TIMERS = {
    "OTEL_BSP_SCHEDULE_DELAY": "3600000",
    "OTEL_BLRP_SCHEDULE_DELAY": "3600000",
    "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
    "PYTHONHASHSEED": "0",
}


# 32 KiB for code and for data, 1 MiB for both.
CACHES = ["--cache-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=1048576,8,64"]
MISSES = {"code, L1": ["I1mr"], "code, L2": ["ILmr"], "data, L1": ["D1mr", "D1mw"], "data, L2": ["DLmr", "DLmw"]}


class Counts(NamedTuple):
    app: float
    everything: float
    misses: tuple[float, ...]
    """Of the app thread, by `MISSES`."""

    def less(self, other: "Counts") -> "Counts":
        misses = tuple(a - b for a, b in zip(self.misses, other.misses, strict=True))
        return Counts(self.app - other.app, self.everything - other.everything, misses)

    def row(self) -> str:
        return " | ".join(f"{count:,.0f}" for count in (self.app, self.everything, *self.misses))


def control(pid: int, order: str) -> None:
    finished = subprocess.run(["callgrind_control", order, str(pid)], capture_output=True, text=True)
    if finished.returncode != 0 or "OK" not in finished.stdout:
        raise SystemExit(f"callgrind_control: {finished.stdout}{finished.stderr}")


def totals(dump: Path) -> dict[str, int]:
    """Of a thread, by the names of callgrind's events."""
    text = dump.read_text()
    names = re.search(r"^events: (.+)$", text, re.M)
    numbers = re.search(r"^(?:totals|summary): (.+)$", text, re.M)
    return dict(zip(names[1].split(), map(int, numbers[1].split()), strict=False)) if names and numbers else {}


def count(
    variant: Variant, application: str, requests: int, stack: ExitStack, received: Received, caches: bool
) -> Counts:
    """For one request."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    prices = stack.enter_context(Prices())
    variables = {**environment(application), **prices.environment, **NO_TIMERS}
    variables |= variant.environment(received.endpoints())
    tool = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes", "--quiet"]
    tool += [f"--callgrind-out-file={folder}/out", *(CACHES if caches else [])]
    with Child(variant, application, variables, folder / "log", tool) as child:
        child.do(WARM_UP)
        child.flush()
        control(child.pid, "--instr=on")
        child.do(requests)
        child.flush()
        control(child.pid, "--dump")
        control(child.pid, "--instr=off")
        child.end()
    received.check(application, {variant: WARM_UP + requests})
    # The first dump has a file for each thread; 01 is the first.
    threads = {path.name: totals(path) for path in folder.glob("out.1-*")}
    app = threads["out.1-01"]
    everything = sum(thread.get("Ir", 0) for thread in threads.values())
    misses = [sum(app[event] for event in events) / requests for events in MISSES.values()] if caches else []
    return Counts(app["Ir"] / requests, everything / requests, tuple(misses))


def main() -> None:
    parser = argparse.ArgumentParser(description="Count the instructions of whole requests.")
    parser.add_argument("--applications", nargs="+", choices=APPLICATIONS, default=["flask"])
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--quick", action="store_true", help="the main variants")
    parser.add_argument("--caches", action="store_true", help="simulate the caches, too; takes three times as long")
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind was not found: install it (Debian: apt-get install valgrind)")

    for application in arguments.applications:
        columns = ["app thread", "all threads", *(MISSES if arguments.caches else [])]
        print(f"\n| {application}: instructions | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}", flush=True)
        none = None
        for variant in QUICK if arguments.quick else FULL:
            with ExitStack() as stack:
                received = stack.enter_context(Received())
                counts = count(variant, application, arguments.requests, stack, received, arguments.caches)
            none = none or counts
            over = "" if none is counts else " over none"
            shown = counts if none is counts else counts.less(none)
            print(f"| {variant.name}{over} | {shown.row()} |", flush=True)


if __name__ == "__main__":
    main()
