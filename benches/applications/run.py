"""Measure whole requests: what telemetry costs in them with the stock SDK and with otel-rs (see docs/benchmarks.md).

    python benches/applications/run.py [--quick] [--applications flask ...] [--form {in-process,served}] [--save FILE]

All variants of an application are alive at once, each in its own process. Requests are dealt to them in small portions,
in a new random order in each round, so that what the machine does besides hits all alike.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent))
import machine
from child import APPLICATIONS, Child, environment
from costs import Costs
from prices import Prices
from received import Received
from served import SERVERS, Server
from tables import show
from variants import FULL, QUICK, Variant

PORTION = 25
WARM_UP = 200
ROUNDS_AT_LEAST = 10
FORMS = {"in-process": Child, "served": Server}


def deal(children: Iterable[Any], seconds: float) -> dict[Variant, Costs]:
    """Rounds of a portion for each child, until the time is over and there are enough for an interval."""
    children = list(children)
    costs = {child.variant: Costs() for child in children}
    before: dict[Variant, Any] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(costs[children[0].variant].thread) < ROUNDS_AT_LEAST:
        random.shuffle(children)
        for child in children:
            portion = child.do(PORTION)
            if child.variant in before:
                costs[child.variant].add(before[child.variant], portion["process"], PORTION)
            before[child.variant] = portion
    for child in children:
        costs[child.variant].add(before[child.variant], child.flush(), PORTION)
        costs[child.variant].collection = child.collect()
    return costs


def measure(application: str, form: str, variants: tuple[Variant, ...], seconds: float) -> dict[Variant, Costs]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        received = stack.enter_context(Received())
        prices = stack.enter_context(Prices())
        endpoints = received.endpoints()
        children = []
        for number, variant in enumerate(variants):
            variables = {**environment(application), **prices.environment, **variant.environment(endpoints)}
            child = FORMS[form](variant, application, variables, folder / f"{number}.log")
            children.append(stack.enter_context(child))
        for child in children:
            child.do(WARM_UP)
        costs = deal(children, seconds)
        for child in children:
            child.end()
        received.check(application, {child.variant: child.requests for child in children})
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure whole requests with the stock SDK and with otel-rs.")
    parser.add_argument("--quick", action="store_true", help="Flask in-process, the main variants, a minute")
    parser.add_argument("--applications", nargs="+", choices=APPLICATIONS)
    parser.add_argument("--form", choices=FORMS, default="in-process")
    parser.add_argument("--seconds", type=float, help="of requests, for each application (240; 45 with --quick)")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the header and all figures as JSON")
    arguments = parser.parse_args()
    variants = QUICK if arguments.quick else FULL
    able = APPLICATIONS if arguments.form == "in-process" else SERVERS
    applications = arguments.applications or (["flask"] if arguments.quick else list(able))
    seconds = arguments.seconds or (45 if arguments.quick else 240)

    about = machine.header()
    print(machine.line(about))
    results = {}
    for application in applications:
        begin = time.monotonic()
        costs = measure(application, arguments.form, variants, seconds)
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
