"""Make spans at a steady rate with each SDK at its defaults, and with more and more of everything (`make bench-load`).

    python benches/load.py [--seconds N] [--save FILE]
    python benches/load.py --child {stock,otel-rs} ENDPOINT RATE SECONDS ATTRIBUTES THREADS

The specification's performance benchmark: 10,000 spans a second, and as many as there can be. For each: CPU of the
process as a part of one core, the largest memory it had, the time of a span while exports are under way, the spans that
were made and those that did not arrive.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import machine
from receiver import Receiver, wait_until

SDKS = ("stock", "otel-rs")
TICK_SECONDS = 0.01
UNLIMITED = 0
TITLES = ("spans a second", "attributes", "threads")
# Spans a second, attributes of each, threads that make them.
LOADS = [
    (10_000, 5, 1),
    (UNLIMITED, 5, 1),
    *((2_000, attributes, 1) for attributes in (0, 16, 64, 128)),
    *((UNLIMITED, 5, threads) for threads in (2, 4, 8)),
]


def make(tracer: Any, rate: int, seconds: float, attributes: dict[str, str]) -> list[int]:
    """Spans, in ticks of ten milliseconds as they come in a service; the nanoseconds of each."""
    begin, clock = time.perf_counter(), time.perf_counter_ns
    times: list[int] = []
    while (now := time.perf_counter() - begin) < seconds:
        for _ in range(int(now * rate) - len(times) if rate else 200):
            start = clock()
            with tracer.start_as_current_span("span", attributes=attributes):
                pass
            times.append(clock() - start)
        if rate:
            time.sleep(TICK_SECONDS)
    return times


def child(sdk: str, endpoint: str, rate: str, seconds: str, attributes: str, threads: str) -> None:
    from configure import configure

    provider = configure(sdk, "grpc", endpoint)
    tracer = provider.get_tracer("benches")
    given = {f"attribute.{number}": f"value {number}" for number in range(int(attributes))}
    times: list[int] = []
    begin, cpu = time.perf_counter(), time.process_time()

    def run() -> None:
        times.extend(make(tracer, int(rate), float(seconds), given))

    workers = [threading.Thread(target=run) for _ in range(int(threads))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    elapsed, cpu = time.perf_counter() - begin, time.process_time() - cpu
    provider.shutdown()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    times.sort()
    percentiles = {name: times[int(len(times) * part)] for name, part in (("p50", 0.5), ("p99.9", 0.999))}
    print(json.dumps({"made": len(times), "elapsed": elapsed, "cpu": cpu, "mib": memory, **percentiles}))


def run(receiver: Receiver, sdk: str, load: tuple[int, int, int], seconds: float) -> dict[str, float]:
    rate, attributes, threads = load
    variables = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    variables |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    told = [receiver.endpoint("grpc"), rate, seconds, attributes, threads]
    before = receiver.items
    command = [sys.executable, __file__, "--child", sdk, *map(str, told)]
    # The stock SDK says for each span that it has no place.
    finished = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300)
    if finished.returncode:
        raise SystemExit(f"{sdk} ended with {finished.returncode}: {finished.stderr[-500:]}")
    result: dict[str, float] = json.loads(finished.stdout)
    last = -1

    def is_quiet() -> bool:
        nonlocal last
        last, before_it = receiver.items, last
        time.sleep(1)
        return last == before_it

    wait_until(is_quiet)
    return {**result, "received": receiver.items - before}


def line(load: tuple[int, int, int], results: dict[str, dict[str, float]]) -> str:
    rate, attributes, threads = load
    cells = [f"{rate:,}" if rate else "as many as can be", str(attributes), str(threads)]
    for result in results.values():
        made = result["made"]
        cells += [
            f"{made / result['elapsed']:,.0f}",
            f"{100 * result['cpu'] / result['elapsed']:.0f}%",
            f"{result['mib']:.0f} MiB",
            f"{result['p50'] / 1e3:.1f}, {result['p99.9'] / 1e3:.1f} us",
            f"{100 * (1 - result['received'] / made):.1f}%",
        ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description="Make spans at a steady rate, and with more and more of everything.")
    parser.add_argument("--seconds", type=float, default=5, help="for each load (5)")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the header and all figures as JSON")
    arguments = parser.parse_args()

    about = machine.header()
    print(machine.line(about), end="\n\n")
    columns = [f"{sdk}: {name}" for sdk in SDKS for name in ("made a second", "CPU", "memory", "p50, p99.9", "lost")]
    print(f"| {' | '.join((*TITLES, *columns))} |\n|{'---|' * (len(TITLES) + len(columns))}", flush=True)
    kept = []
    with Receiver() as receiver:
        for load in LOADS:
            results = {sdk: run(receiver, sdk, load, arguments.seconds) for sdk in SDKS}
            kept.append({**dict(zip(TITLES, load, strict=True)), **results})
            print(line(load, results), flush=True)
    if arguments.save:
        arguments.save.write_text(json.dumps({**about, "loads": kept}, indent=1) + "\n")


if __name__ == "__main__":
    main()
