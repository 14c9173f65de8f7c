"""Count the instructions of a request in each variant; needs valgrind.

    python benches/applications/instructions.py [--applications flask ...] [--requests N] [--quick]

Unlike times, these counts are almost the same in each run, also on a busy machine. "app thread" does the requests; "all
threads" adds the sending of their spans and log records, in batches of the default size. What the program without
telemetry takes is subtracted.
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


class Counts(NamedTuple):
    app: float
    everything: float


def control(pid: int, order: str) -> None:
    finished = subprocess.run(["callgrind_control", order, str(pid)], capture_output=True, text=True)
    if finished.returncode != 0 or "OK" not in finished.stdout:
        raise SystemExit(f"callgrind_control: {finished.stdout}{finished.stderr}")


def count(variant: Variant, application: str, requests: int, stack: ExitStack, received: Received) -> Counts:
    """For one request."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    prices = stack.enter_context(Prices())
    variables = {**environment(application), **prices.environment, **NO_TIMERS}
    variables |= variant.environment(received.endpoints())
    tool = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes", "--quiet"]
    tool.append(f"--callgrind-out-file={folder}/out")
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
    totals = {
        path.name: sum(int(total) for total in re.findall(r"^(?:totals|summary): (\d+)", path.read_text(), re.M)[:1])
        for path in folder.glob("out.1-*")
    }
    return Counts(totals["out.1-01"] / requests, sum(totals.values()) / requests)


def main() -> None:
    parser = argparse.ArgumentParser(description="Count the instructions of whole requests.")
    parser.add_argument("--applications", nargs="+", choices=APPLICATIONS, default=["flask"])
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--quick", action="store_true", help="the main variants")
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind was not found: install it (Debian: apt-get install valgrind)")

    for application in arguments.applications:
        print(f"\n| {application}: instructions | app thread | all threads |\n|---|---|---|", flush=True)
        none = None
        for variant in QUICK if arguments.quick else FULL:
            with ExitStack() as stack:
                received = stack.enter_context(Received())
                counts = count(variant, application, arguments.requests, stack, received)
            none = none or counts
            over = "" if none is counts else " over none"
            app, everything = counts if none is counts else (a - b for a, b in zip(counts, none, strict=True))
            print(f"| {variant.name}{over} | {app:,.0f} | {everything:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
