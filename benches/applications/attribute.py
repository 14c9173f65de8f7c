"""Say where the CPU of an instrumented request goes: a table of components, and one of their functions.

    python benches/applications/attribute.py [--application flask] [--sdk {api,stock,otel-rs}] [--signals ...]

py-spy looks at the stacks of the process from outside, so it costs the process nothing; each sample counts for the
innermost function of OpenTelemetry, with what that function calls of the standard library and of the instrumented one
for itself. The calls are counted in a few more requests, with Python's profiling hook. The samples tell the shares; the
microseconds are these shares of the CPU that the process takes for a request. With --native, which needs longer, native
code is told from the Python code that calls it.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent))
import components
from child import APPLICATIONS, PACKAGES, Child, environment
from prices import Prices
from receiver import Receiver
from variants import SIGNALS, Variant

PORTION = 25
COUNTED = 50
FRAME = re.compile(r"(.+) \((.+?)(?::(\d+))?\)$")

# Other threads wait most of the time, in ways that py-spy takes for work: their CPU is measured instead.
THREAD = "/worker.py:"

# What takes less of the telemetry's time is not shown, nor are more lines of a function.
LEAST = 0.005
LINES = 4


def sampled(child: Child, seconds: int, native: bool, folder: Path) -> tuple[Counter[components.Owner], list[Any]]:
    """The samples of the thread that does the requests, by owner."""
    raw = folder / "stacks"
    spy = [str(PACKAGES / "bin" / "py-spy"), "record", "--pid", str(child.pid), "--format", "raw"]
    spy += ["--full-filenames", "--duration", str(seconds), "--output", str(raw)]
    spy += ["--native", "--rate", "150"] if native else ["--rate", "500"]
    watching = subprocess.Popen(spy, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    done = []
    while watching.poll() is None:
        done.append(child.do(PORTION))
    if watching.returncode != 0:
        raise SystemExit(f"py-spy: {watching.stderr.read().strip()}")
    samples: Counter[components.Owner] = Counter()
    for line in raw.read_text().splitlines():
        stack, _, number = line.rpartition(" ")
        if THREAD not in stack:
            continue
        frames = [FRAME.match(frame) for frame in stack.split(";")]
        samples[components.owner([components.Frame(m[1], m[2], int(m[3] or 0)) for m in frames if m])] += int(number)
    return samples, done


def calls(child: Child) -> Counter[tuple[str, str]]:
    """Of each component's functions, for one request."""
    counted: Counter[tuple[str, str]] = Counter()
    for path, function, number in child.ask(f"calls {COUNTED}"):
        if component := components.component(path):
            counted[component, function] += number
    return Counter({owner: number / COUNTED for owner, number in counted.items()})


def grouped(samples: Counter[Any], key: Callable[[Any], Any]) -> Counter[Any]:
    groups: Counter[Any] = Counter()
    for each, number in samples.items():
        groups[key(each)] += number
    return groups


def show(samples: Counter[components.Owner], counted: Counter[tuple[str, str]], microsecond: float) -> None:
    """Two tables; a sample stands for so many microseconds of a request."""
    telemetry = sum(samples.values()) - samples[components.PROGRAM]
    called = grouped(counted, lambda owner: owner[0])
    print("| component | calls a request | us a request | share |\n|---|---|---|---|")
    for component, number in grouped(samples, lambda owner: owner.component).most_common():
        share = "" if component == components.APPLICATION else f"{number / telemetry:.1%}"
        print(f"| {component} | {called[component]:,.0f} | {number * microsecond:,.1f} | {share} |")

    print("\n| component | function | calls a request | us each | us a request | share |\n|---|---|---|---|---|---|")
    for function, number in grouped(samples, function_of).most_common():
        if function[0] == components.APPLICATION or number < LEAST * telemetry:
            continue
        times, cost = counted[function], number * microsecond
        each = f"{cost / times:.1f}" if times else ""
        print(f"| {function[0]} | `{function[1]}` | {times:.3g} | {each} | {cost:.1f} | {number / telemetry:.1%} |")
        lines = Counter({owner.frame: part for owner, part in samples.items() if function_of(owner) == function})
        for frame, part in lines.most_common(LINES):
            if part >= LEAST * telemetry and len(lines) > 1:
                print(f"| | {frame.line}: `{components.source(frame)}` | | | {part * microsecond:.1f} | |")


def function_of(owner: components.Owner) -> tuple[str, str]:
    return owner.component, owner.frame.function


def main() -> None:
    parser = argparse.ArgumentParser(description="Attribute the CPU of an instrumented request.")
    parser.add_argument("--application", choices=APPLICATIONS, default="flask")
    parser.add_argument("--sdk", choices=["api", "stock", "otel-rs"], default="otel-rs")
    parser.add_argument("--signals", nargs="*", choices=SIGNALS, default=list(SIGNALS))
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--native", action="store_true")
    arguments = parser.parse_args()

    variant = Variant(arguments.sdk, tuple(arguments.signals) if arguments.sdk != "api" else ())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        receiver = stack.enter_context(Receiver())
        prices = stack.enter_context(Prices())
        endpoints = {"grpc": receiver.endpoint("grpc")}
        variables = {**environment(arguments.application), **prices.environment, **variant.environment(endpoints)}
        child = Child(variant, arguments.application, variables, folder / "log")
        child.do(8 * PORTION)
        counted = calls(child)
        samples, done = sampled(child, arguments.seconds, arguments.native, folder)
        sent = child.flush()
        child.end()

    requests = len(done) * PORTION
    thread = sum(portion["thread"] for portion in done) / requests / 1e3
    process = (sent - done[0]["process"]) / requests / 1e3
    microsecond = thread / sum(samples.values())
    telemetry = thread - samples[components.PROGRAM] * microsecond
    print(f"{arguments.application}, {variant.name}: {sum(samples.values())} samples of {requests} requests")
    print(f"{thread:,.0f} us of CPU a request, {telemetry:,.0f} of it telemetry; ", end="")
    print(f"{process - thread:,.0f} us in other threads, which export\n")
    show(samples, counted, microsecond)


if __name__ == "__main__":
    main()
