"""The orders of examples/collector, its worker, and what must arrive of them."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..otelcol import attributes_of
from ..program import Program
from .arrived import Traces
from .running import DISTRO, INSTRUMENT
from .tiers import FOLDER

ORDERS = 100
FAILED = {number for number in range(ORDERS) if number % 10 == 3}
SLOW = {number for number in range(ORDERS) if number % 25 == 6}
# A failed order is not packed.
ALL_SPANS = 3 * ORDERS - len(FAILED)

# The stock SDK's stack traces begin with its own frames.
STOCK_FRAMES = (
    r"  File [^,]*opentelemetry/(sdk/)?trace/__init__\.py[^,]*, line \d+, in \w+\\\\n    yield span\\\\n",
    "",
)


def trace_id(number: int) -> str:
    return hashlib.md5(str(number).encode()).hexdigest()


def write_orders(file: Path) -> None:
    """Orders like the example's. Each continues a trace of the shop, so that trace ids are the same in all runs."""
    orders = [
        {
            "number": number,
            "traceparent": f"00-{trace_id(number)}-{number + 1:016x}-01",
            "card": "expired" if number in FAILED else "valid",
            "items": number % 3 + 1,
            "waited_ms": 5000 if number in SLOW else 20,
        }
        for number in range(ORDERS)
    ]
    file.write_text("".join(json.dumps(order) + "\n" for order in orders))


def work(start_program: Callable[..., Any], orders: Path, implementation: str, **environment: str) -> Program:
    """Runs the worker until it has handled all orders and sent their spans."""
    environment = {
        **DISTRO[implementation],
        "OTEL_SERVICE_NAME": "worker",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_TRACES_EXPORTER": "otlp",
        # The worker needs none, and to load those of the test environment takes most of its time.
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*",
        **environment,
    }
    with start_program(INSTRUMENT, sys.executable, FOLDER / "worker.py", orders, **environment) as program:
        assert program.process.wait(timeout=60) == 0, program.output()
    assert program.output().splitlines() == [f"order {number}: the card has expired" for number in sorted(FAILED)]
    program.assert_ran_on(implementation)
    return program


def numbers_of_orders(traces: Traces) -> set[int]:
    """The orders whose traces arrived; each must have arrived whole, in the shop's trace."""
    numbers = {attributes_of(span)["order.number"] for span in traces.named("order")}
    expected, arrived = Counter(), Counter()
    for number in numbers:
        names = ("order", "charge") if number in FAILED else ("order", "charge", "pack")
        expected.update((trace_id(number), name) for name in names)
    for name in ("order", "charge", "pack"):
        arrived.update((span["traceId"], name) for span in traces.named(name))
    assert arrived == expected
    assert len(traces) == expected.total()
    return numbers
