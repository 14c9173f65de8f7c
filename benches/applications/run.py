"""Measure whole requests: what telemetry costs in them with the stock SDK and with otel-rs (see docs/benchmarks.md).

    python benches/applications/run.py [--quick] [--applications flask ...] [--form {in-process,served}] [--save FILE]

All variants of an application are alive at once, each in its own process. Requests are dealt to them in small portions,
in a new random order in each round, so that what the machine does besides hits all alike. Then they end, and a new
generation begins.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent))
import machine
from child import APPLICATIONS, Child, environment
from costs import Costs, Portions
from prices import Prices
from received import Received
from served import SERVERS, Server
from tables import show
from variants import FULL, QUICK, Variant

PORTION = 25
WARM_UP = 200
ROUNDS_AT_LEAST = 10
GENERATIONS = 8
QUICK_GENERATIONS = 4
FORMS = {"in-process": Child, "served": Server}


def deal(children: list[Any], seconds: float) -> list[Portions]:
    """Rounds of a portion for each child, until the time is over and each has enough."""
    portions = {child.variant: Portions() for child in children}
    before: dict[Variant, Any] = {}
    order = list(children)
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(portions[order[0].variant].thread) < ROUNDS_AT_LEAST:
        random.shuffle(order)
        for child in order:
            portion = child.do(PORTION)
            if child.variant in before:
                portions[child.variant].add(before[child.variant], portion["process"], PORTION)
            before[child.variant] = portion
            child.latencies += portion["latencies"]
    for child in children:
        portions[child.variant].add(before[child.variant], child.flush(), PORTION)
    return list(portions.values())


def generation(application: str, form: str, costs: dict[Variant, Costs], seconds: float) -> None:
    """One process for each variant."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        received = stack.enter_context(Received())
        prices = stack.enter_context(Prices())
        endpoints = received.endpoints()
        children = []
        for number, variant in enumerate(costs):
            variables = {**environment(application), **prices.environment, **variant.environment(endpoints)}
            child = FORMS[form](variant, application, variables, folder / f"{number}.log")
            children.append(stack.enter_context(child))
        for child in children:
            child.do(WARM_UP)
        for child, portions in zip(children, deal(children, seconds), strict=True):
            cost = costs[child.variant]
            cost.processes.append(portions)
            cost.latencies += child.latencies
            cost.collections.append(child.collect())
            child.end()
        received.check(application, {child.variant: child.requests for child in children})


def measure(
    application: str, form: str, variants: tuple[Variant, ...], generations: int, seconds: float
) -> dict[Variant, Costs]:
    costs = {variant: Costs() for variant in variants}
    for _ in range(generations):
        generation(application, form, costs, seconds / generations)
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure whole requests with the stock SDK and with otel-rs.")
    parser.add_argument("--quick", action="store_true", help="Flask in-process, the main variants, a minute")
    parser.add_argument("--applications", nargs="+", choices=APPLICATIONS)
    parser.add_argument("--form", choices=FORMS, default="in-process")
    parser.add_argument("--seconds", type=float, help="of requests, for each application (160; 40 with --quick)")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the header and all figures as JSON")
    arguments = parser.parse_args()
    variants = QUICK if arguments.quick else FULL
    able = APPLICATIONS if arguments.form == "in-process" else SERVERS
    applications = arguments.applications or (["flask"] if arguments.quick else list(able))
    seconds = arguments.seconds or (40 if arguments.quick else 160)
    generations = QUICK_GENERATIONS if arguments.quick else GENERATIONS

    about = machine.header()
    print(machine.line(about))
    results = {}
    for application in applications:
        begin = time.monotonic()
        costs = measure(application, arguments.form, variants, generations, seconds)
        print(f"\n## {application}, {arguments.form}\n")
        results[application] = show(costs)
        requests = len(costs[variants[0]].latencies)
        print(f"\n{requests} requests for each variant, {time.monotonic() - begin:.0f} s in all.", flush=True)
    if arguments.save:
        arguments.save.parent.mkdir(parents=True, exist_ok=True)
        kept = {**about, "form": arguments.form, "applications": results}
        arguments.save.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
