"""Compare otel-rs with the stock SDK on this machine, side by side in one run (`make bench`; see docs/benchmarks.md).

    python benches/run.py [--rounds N] [--only ROW ...] [--save FILE]

Prints a Markdown table of ratios under a header with the machine and the versions; --save keeps all samples as JSON.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
from receiver import Receiver

HERE = Path(__file__).parent
SDKS = ("stock", "otel-rs")
CHILD_DEADLINE_SECONDS = 300
CPU_SPANS = 20_480

# Spans between two flushes on the app thread. The first is just below the default max_queue_size (2048): exports run
# meanwhile. The second is just below the default max_export_batch_size (512): no export runs meanwhile.
BUSY = 2_000
QUIET = 500


def child(receiver: Receiver, sdk: str, script: str, *arguments: str) -> dict[str, Any]:
    """Run one measurement in a new process, without the caller's OpenTelemetry configuration.

    Python keeps byte code there, as for an installed package, whatever the caller's environment says.
    """
    left_out = ("OTEL_", "PYTHONDONTWRITEBYTECODE")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    environment |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    finished = subprocess.run(
        [sys.executable, HERE / script, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=CHILD_DEADLINE_SECONDS,
    )
    if finished.returncode != 0:
        raise SystemExit(f"{script} {' '.join(arguments)} ended with {finished.returncode}")
    result: dict[str, Any] = json.loads(finished.stdout)
    receiver.expect(result["items"], sdk)
    return result


def app_thread(row: str, batch: int) -> Callable[[Receiver, str], float]:
    """The fastest loop of a process."""

    def sample(receiver: Receiver, sdk: str) -> float:
        arguments = ["--sdk", sdk, "--row", row, "--endpoint", receiver.endpoint("grpc"), "--batch", str(batch)]
        return min(child(receiver, sdk, "measure.py", *arguments)["per_span"])

    return sample


def all_cpu(protocol: str) -> Callable[[Receiver, str], float]:
    """The CPU of a process minus the CPU of the same process when it creates no spans."""

    def sample(receiver: Receiver, sdk: str) -> float:
        arguments = ["--sdk", sdk, "--row", "http", "--protocol", protocol, "--endpoint", receiver.endpoint(protocol)]
        cpu = [
            child(receiver, sdk, "measure.py", *arguments, "--cpu", "--spans", str(spans))["cpu"]
            for spans in (CPU_SPANS, 0)
        ]
        return (cpu[0] - cpu[1]) / CPU_SPANS

    return sample


def exporting(signal: str, protocol: str) -> Callable[[Receiver, str], float]:
    """The CPU for one log record or data point, from the SDK's objects to the receiver."""

    def sample(receiver: Receiver, sdk: str) -> float:
        script = ["--sdk", sdk, "--signal", signal, "--protocol", protocol]
        result = child(receiver, sdk, "export.py", *script, "--endpoint", receiver.endpoint(protocol, signal))
        return result["cpu"] / result["measured"]

    return sample


def logging(row: str) -> Callable[[Receiver, str], float]:
    """The fastest loop of a process that logs."""

    def sample(receiver: Receiver, sdk: str) -> float:
        arguments = ["--sdk", sdk, "--row", row, "--endpoint", receiver.endpoint("grpc")]
        return min(child(receiver, sdk, "log.py", *arguments)["per_item"])

    return sample


def logging_cpu(receiver: Receiver, sdk: str) -> float:
    """The CPU of a process minus the CPU of the same process when it logs nothing."""
    arguments = ["--sdk", sdk, "--row", "handler", "--endpoint", receiver.endpoint("grpc"), "--cpu"]
    cpu = [child(receiver, sdk, "log.py", *arguments, "--records", str(records))["cpu"] for records in (CPU_SPANS, 0)]
    return (cpu[0] - cpu[1]) / CPU_SPANS


def measuring(row: str, threads: int = 1) -> Callable[[Receiver, str], float]:
    """The fastest loop of a process that measures."""

    def sample(receiver: Receiver, sdk: str) -> float:
        arguments = ["--sdk", sdk, "--row", row, "--threads", str(threads), "--endpoint", receiver.endpoint("grpc")]
        return min(child(receiver, sdk, "record.py", *arguments)["per_item"])

    return sample


def propagating(row: str) -> Callable[[Receiver, str], float]:
    """The fastest loop of a process that extracts or injects a context."""

    def sample(receiver: Receiver, sdk: str) -> float:
        return min(child(receiver, sdk, "propagate.py", "--sdk", sdk, "--row", row)["per_item"])

    return sample


def collecting(receiver: Receiver, sdk: str) -> float:
    """The CPU for one point, from the series to the receiver."""
    result = child(
        receiver, sdk, "record.py", "--sdk", sdk, "--row", "collect", "--endpoint", receiver.endpoint("grpc")
    )
    return result["cpu"] / result["measured"]


def configuring(clock: str) -> Callable[[Receiver, str], float]:
    """The time for import and configuration, on one of the clocks of configure.py."""

    def sample(receiver: Receiver, sdk: str) -> float:
        return child(receiver, sdk, "configure.py", sdk, receiver.endpoint("grpc"))[clock]

    return sample


def starting(ours: str, *instrumentations: str) -> Callable[[Receiver, str], float]:
    """The CPU of a start minus that of the program alone; ours is one of the ways of cold_start.py."""

    def sample(receiver: Receiver, sdk: str) -> float:
        way = "stock" if sdk == "stock" else ours
        return child(receiver, sdk, "cold_start.py", way, receiver.endpoint("grpc"), *instrumentations)["cpu"]

    return sample


FLASK = ("flask", "logging", "requests")
MORE = (*FLASK, "fastapi", "django")


@dataclass(frozen=True)
class Row:
    title: str
    ratio: float | None
    """The budget, if the row has one: otel-rs must be at least this many times cheaper than the stock SDK."""
    sample: Callable[[Receiver, str], float]
    """Takes one sample of one SDK, in nanoseconds."""
    at_most: float = float("inf")
    """The absolute budget, in nanoseconds."""
    effort: int = 1
    """The number of samples of each SDK in a round."""


ROWS = {
    "bare": Row("bare span (`start_span().end()`)", 40, app_thread("bare", BUSY)),
    "bare-quiet": Row("bare span, while nothing is exported", None, app_thread("bare", QUIET)),
    "current": Row("current span (`with start_as_current_span`)", 20, app_thread("current", BUSY)),
    "current-quiet": Row("current span, while nothing is exported", None, app_thread("current", QUIET)),
    "http": Row("HTTP span (8 attributes, 2 set later), app thread", 20, app_thread("http", BUSY), at_most=2_500),
    "http-quiet": Row("HTTP span, app thread, while nothing is exported", None, app_thread("http", QUIET)),
    "http-cpu-grpc": Row("HTTP span, all CPU until it is received, gRPC", 30, all_cpu("grpc")),
    "http-cpu-http": Row("HTTP span, all CPU until it is received, HTTP", 30, all_cpu("http")),
    "unsampled": Row("unsampled span (`ALWAYS_OFF`)", 20, app_thread("unsampled", BUSY)),
    "unsampled-parent": Row("unsampled span (parent not sampled)", 20, app_thread("unsampled-parent", BUSY)),
    "log": Row("a line of `logging`, the handler's `emit`, in a span", 15, logging("handler")),
    "log-cpu": Row("a line of `logging`, all CPU until it is received, gRPC", 20, logging_cpu),
    "log-no-processor": Row("a line of `logging`, no exporter", 30, logging("no-processor")),
    "logger": Row("`logger.emit`, a text and 2 attributes, in a span", None, logging("logger")),
    "logs-cpu-grpc": Row("log record, all CPU of its export, gRPC", None, exporting("logs", "grpc")),
    "logs-cpu-http": Row("log record, all CPU of its export, HTTP", None, exporting("logs", "http")),
    "metrics-cpu-grpc": Row("data point, all CPU of its export, gRPC", None, exporting("metrics", "grpc")),
    "metrics-cpu-http": Row("data point, all CPU of its export, HTTP", None, exporting("metrics", "http")),
    "histogram": Row("`histogram.record`, 7 attributes in a fresh dict, in a span", 15, measuring("histogram")),
    "histogram-same": Row("the same, the same dict", 30, measuring("histogram-same")),
    "histogram-4": Row("`histogram.record`, fresh dict, 4 threads", None, measuring("histogram", threads=4)),
    "histogram-same-4": Row("the same, the same dict, 4 threads", None, measuring("histogram-same", threads=4)),
    "up-down-counter": Row("`up_down_counter.add`, 5 attributes in a fresh dict", 15, measuring("up-down-counter")),
    "up-down-counter-4": Row("`up_down_counter.add`, 4 threads", None, measuring("up-down-counter", threads=4)),
    "counter-in-span": Row("`counter.add`, no attributes, in a span", 25, measuring("counter-in-span")),
    "counter": Row("`counter.add`, no attributes, no span", 25, measuring("counter")),
    "counter-in-span-4": Row("`counter.add`, in a span, 4 threads", None, measuring("counter-in-span", threads=4)),
    "counter-4": Row("`counter.add`, no span, 4 threads", None, measuring("counter", threads=4)),
    "no-reader": Row("`histogram.record`, fresh dict, nobody reads", 10, measuring("no-reader")),
    "collect": Row("a point of 10,000 series, all CPU of its collection and export, gRPC", 20, collecting),
    "inject": Row("`inject` into a dict, a span is current", 12, propagating("inject")),
    "extract": Row("`extract` from a WSGI environ, `traceparent`", 5, propagating("extract")),
    "extract-all": Row("the same, `tracestate` and 3 entries of `baggage`, too", 15, propagating("extract-all")),
    "configure": Row("import and configure, OTLP/gRPC, elapsed", 2, configuring("wall"), effort=2),
    "configure-cpu": Row("import and configure, OTLP/gRPC, CPU", 2, configuring("cpu"), effort=2),
    "start": Row("start of a Flask program over none, CPU, `otel-rs run`", 3, starting("run", *FLASK), effort=2),
    "start-instrument": Row(
        "the same, `opentelemetry-instrument` on both sides", None, starting("instrument", *FLASK), effort=2
    ),
    "start-more": Row("the same, FastAPI and Django installed, `otel-rs run`", 3, starting("run", *MORE), effort=2),
    "start-more-instrument": Row(
        "the same, `opentelemetry-instrument` on both sides", None, starting("instrument", *MORE), effort=2
    ),
}

Samples = dict[str, list[float]]


def in_turns(rounds: int) -> Iterator[str]:
    """A B, B A, A B: a machine that changes its speed changes it for both SDKs."""
    for number in range(rounds):
        yield from SDKS if number % 2 == 0 else reversed(SDKS)


def measure(receiver: Receiver, row: Row, rounds: int) -> Samples:
    # One unrecorded sample of each SDK: Python writes byte code, and files are loaded into memory.
    for sdk in SDKS:
        configuring("wall")(receiver, sdk)
    samples: Samples = {sdk: [] for sdk in SDKS}
    for sdk in in_turns(rounds * row.effort):
        samples[sdk].append(row.sample(receiver, sdk))
    return samples


def duration(nanoseconds: float) -> str:
    if nanoseconds < 1e6:
        return f"{nanoseconds / 1e3:.2f} us"
    return f"{nanoseconds / 1e6:.0f} ms"


def table_line(row: Row, samples: Samples) -> str:
    stock, ours = (statistics.median(samples[sdk]) for sdk in SDKS)
    target = verdict = ""
    if row.ratio is not None:
        target = f"{row.ratio:g}x" + (f", {duration(row.at_most)}" if row.at_most < float("inf") else "")
        verdict = "met" if stock >= row.ratio * ours and ours <= row.at_most else "missed"
    return f"| {row.title} | {duration(stock)} | {duration(ours)} | {stock / ours:.1f}x | {target} | {verdict} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare otel-rs with the stock SDK.")
    parser.add_argument("--rounds", type=int, default=5, help="processes of each side for a row (5)")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=" ".join(ROWS))
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the header and all samples as JSON")
    arguments = parser.parse_args()

    about = machine.header()
    print(machine.line(about))
    print("\n| | opentelemetry-sdk | otel-rs | ratio | target | |\n|---|---|---|---|---|---|", flush=True)

    samples: dict[str, Samples] = {}
    begin = time.monotonic()
    with Receiver() as receiver:
        for name in arguments.only:
            samples[name] = measure(receiver, ROWS[name], arguments.rounds)
            print(table_line(ROWS[name], samples[name]), flush=True)
    print(f"\nMedians of {arguments.rounds} rounds, {time.monotonic() - begin:.0f} s in all.")

    if arguments.save:
        results = {
            name: {"title": ROWS[name].title, "target_ratio": ROWS[name].ratio, "nanoseconds": rows}
            for name, rows in samples.items()
        }
        arguments.save.parent.mkdir(parents=True, exist_ok=True)
        arguments.save.write_text(json.dumps({**about, "rounds": arguments.rounds, "rows": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
