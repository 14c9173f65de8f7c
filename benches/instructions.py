"""Count the instructions of otel-rs for a span, a measurement or a point of each row; needs valgrind. Not part of
`make bench`.

    python benches/instructions.py [--rows ROW ...] [--count N] [--check | --save]

Unlike times, these counts are almost the same in each run, so a change of one percent is visible. Each row runs twice
under callgrind, with N and with 2N of them; the difference of the counts divided by N does not contain the start-up.
"app thread" is the thread that creates the spans, with its part of the flushes; "all threads" adds the export. The row
`collect` is a point of 10,000 series that are collected and exported, once and twice.
`instructions.json` has the budget of each row, by environment: --check fails if a row is 3% above it, --save writes it.
`collect` has none: how often its export thread is woken differs from run to run.
To see where they are spent, build with `maturin develop --profile profiling` and open callgrind's own output.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import measure
import record
from receiver import Receiver

HERE = Path(__file__).parent
COLLECT = "collect"
BUDGET = HERE / "instructions.json"
TOLERANCE = 0.03
ROWS = (*measure.ROWS, *record.ROWS, COLLECT)


def script_of(row: str, count: int) -> list[str]:
    """What creates `count` spans, measurements or points."""
    if row in measure.ROWS:
        return ["measure.py", "--row", row, "--cpu", "--spans", str(count)]
    return ["record.py", "--row", row, "--count", str(count // record.SERIES if row == COLLECT else count)]


class Run(NamedTuple):
    """The instructions of a process, and the items that it sent."""

    app: int
    everything: int
    items: int


def run(valgrind: str, receiver: Receiver, sdk: str, row: str, times: int) -> Run:
    """A process that does it so many times."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environment |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "PYTHONHASHSEED": "0"}
    with tempfile.TemporaryDirectory() as folder:
        tool = [valgrind, "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={folder}/out"]
        tool += ["--quiet", "--log-file=" + folder + "/log"]
        script, *arguments = script_of(row, times)
        finished = subprocess.run(
            [*tool, sys.executable, HERE / script, *arguments, "--sdk", sdk, "--endpoint", receiver.endpoint("grpc")],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        if finished.returncode != 0:
            words = Path(folder, "log").read_text().strip()
            raise SystemExit(f"{row} under valgrind ended with {finished.returncode}\n{words}")
        # One file for each thread; out-01 is the first.
        threads = {
            path.name: sum(
                int(total) for total in re.findall(r"^(?:totals|summary): (\d+)", path.read_text(), re.M)[:1]
            )
            for path in Path(folder).glob("out-*")
        }
    return Run(threads["out-01"], sum(threads.values()), json.loads(finished.stdout)["items"])


def counts(valgrind: str, receiver: Receiver, sdk: str, row: str, count: int) -> dict[str, float]:
    """The instructions of one item, of the app thread and of all threads."""
    step = record.SERIES if row == COLLECT else count
    with ThreadPoolExecutor() as pool:
        once, twice = pool.map(lambda times: run(valgrind, receiver, sdk, row, times * step), (1, 2))
    receiver.expect(once.items + twice.items, sdk)
    return {"app thread": (twice.app - once.app) / step, "all threads": (twice.everything - once.everything) / step}


def environment() -> str:
    """What the counts depend on, besides our own code. valgrind makes all processors alike."""
    optimized = "optimized" if "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "") else "plain"
    return f"CPython {platform.python_version()} {optimized}, {platform.machine()}, {' '.join(platform.libc_ver())}"


def compare(budget: dict[str, dict[str, float]], row: str, counted: dict[str, float]) -> list[str]:
    """A line for each count that is above the budget."""
    lines = []
    for threads, allowed in budget.get(row, {}).items():
        if counted[threads] > allowed * (1 + TOLERANCE):
            lines.append(f"{row}, {threads}: {counted[threads]:,.0f} instructions, the budget is {allowed:,.0f}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="Count instructions for each span, measurement or point.")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=" ".join(ROWS))
    parser.add_argument("--count", type=int, default=8 * measure.FULL_BATCH)
    parser.add_argument("--sdk", choices=["otel-rs", "stock"], default="otel-rs")
    budget_use = parser.add_mutually_exclusive_group()
    budget_use.add_argument("--check", action="store_true", help=f"fail if a row is {TOLERANCE:.0%} above its budget")
    budget_use.add_argument("--save", action="store_true", help="make these counts the budget")
    parser.add_argument("--budget", type=Path, default=BUDGET, help="the file with it")
    arguments = parser.parse_args()

    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise SystemExit("valgrind was not found: install it (Debian: apt-get install valgrind)")
    budgets: dict[str, dict[str, dict[str, float]]] = json.loads(arguments.budget.read_text())
    if arguments.check and environment() not in budgets:
        name = arguments.budget.name
        print(f"{name} has no budget for {environment()}: count with --save before your change", file=sys.stderr)
    budget = budgets.setdefault(environment(), {})
    over: list[str] = []
    print("| instructions | app thread | all threads |\n|---|---|---|", flush=True)
    with Receiver() as receiver:
        for row in arguments.rows:
            counted = counts(valgrind, receiver, arguments.sdk, row, arguments.count)
            print(f"| {row} | {counted['app thread']:,.0f} | {counted['all threads']:,.0f} |", flush=True)
            over += compare(budget, row, counted)
            if arguments.save and row != COLLECT:
                budget[row] = {threads: round(count) for threads, count in counted.items()}
    if arguments.save:
        arguments.budget.write_text(json.dumps(budgets, indent=2) + "\n")
    if arguments.check and over:
        raise SystemExit("\n".join(over))


if __name__ == "__main__":
    main()
