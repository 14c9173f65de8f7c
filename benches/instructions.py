"""Count the instructions of otel-rs for a span, a measurement or a point of each row; needs valgrind. Not part of
`make bench`.

    python benches/instructions.py [--rows ROW ...] [--count N]

Unlike times, these counts are almost the same in each run, so a change of one percent is visible. Each row runs twice
under callgrind, with N and with 2N of them; the difference of the counts divided by N does not contain the start-up.
"app thread" is the thread that creates the spans, with its part of the flushes; "all threads" adds the export. The row
`collect` is a point of 10,000 series that are collected and exported, once and twice.
To see where they are spent, build with `maturin develop --profile profiling` and open callgrind's own output.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import measure
import record
from receiver import Receiver

HERE = Path(__file__).parent
COLLECT = "collect"
ROWS = (*measure.ROWS, *record.ROWS, COLLECT)


def script_of(row: str, count: int) -> list[str]:
    """What creates `count` spans, measurements or points."""
    if row in measure.ROWS:
        return ["measure.py", "--row", row, "--cpu", "--spans", str(count)]
    return ["record.py", "--row", row, "--count", str(count // record.SERIES if row == COLLECT else count)]


def count(valgrind: str, receiver: Receiver, sdk: str, row: str, times: int) -> tuple[int, int]:
    """The instructions of the app thread, and of all threads, in a process that does it so many times."""
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
        receiver.expect(json.loads(finished.stdout)["items"], sdk)
        # One file for each thread; out-01 is the first.
        threads = {
            path.name: sum(
                int(total) for total in re.findall(r"^(?:totals|summary): (\d+)", path.read_text(), re.M)[:1]
            )
            for path in Path(folder).glob("out-*")
        }
    return threads["out-01"], sum(threads.values())


def main() -> None:
    parser = argparse.ArgumentParser(description="Count instructions for each span, measurement or point.")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=" ".join(ROWS))
    parser.add_argument("--count", type=int, default=8 * measure.FULL_BATCH)
    parser.add_argument("--sdk", choices=["otel-rs", "stock"], default="otel-rs")
    arguments = parser.parse_args()

    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise SystemExit("valgrind was not found: install it (Debian: apt-get install valgrind)")
    print("| instructions | app thread | all threads |\n|---|---|---|", flush=True)
    with Receiver() as receiver:
        for row in arguments.rows:
            step = record.SERIES if row == COLLECT else arguments.count
            once, twice = (count(valgrind, receiver, arguments.sdk, row, times * step) for times in (1, 2))
            app, everything = ((more - less) / step for less, more in zip(once, twice, strict=True))
            print(f"| {row} | {app:,.0f} | {everything:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
