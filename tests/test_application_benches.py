"""The benchmark of whole requests believes no figure whose telemetry is incomplete, and tells whose time it is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BENCHES = Path(__file__).parent.parent / "benches"
ALL = ("traces", "metrics", "logs")


@pytest.fixture
def benches(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a module of the benchmark, and forgets it afterwards."""
    for folder in (BENCHES, BENCHES / "applications"):
        monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    yield import_module
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("signals", "ratio", "arrived"),
    [
        (ALL, 1, (299, 100, 100)),  # a span is lost
        (ALL, 1, (303, 100, 100)),  # a trace too many
        (ALL, 1, (300, 99, 100)),
        (ALL, 1, (300, 100, 0)),
        (ALL, 0, (3, 100, 100)),  # nothing is to be sampled
        (ALL, 0.01, (1, 100, 100)),  # a part of a trace
        (ALL, 0.01, (150, 100, 100)),  # half of the traces
        (("logs",), 1, (300, 100, 0)),  # traces that were not asked for
    ],
)
def test_a_wrong_count_is_a_fault(
    benches: Any, signals: tuple[str, ...], ratio: float, arrived: tuple[int, int, int]
) -> None:
    received, variants = benches("received"), benches("variants")

    assert len(received.faults(variants.Variant("otel-rs", signals, ratio), 3, 100, received.Arrived(*arrived))) == 1


@pytest.mark.parametrize(
    ("sdk", "signals", "ratio", "arrived"),
    [
        ("otel-rs", ALL, 1, (300, 100, 100)),
        ("otel-rs", ALL, 0.01, (0, 100, 100)),
        ("otel-rs", ALL, 0.01, (9, 100, 100)),
        ("stock", ("metrics",), 1, (0, 0, 100)),
        ("api", (), 1, (0, 0, 0)),
    ],
)
def test_a_right_count_is_none(
    benches: Any, sdk: str, signals: tuple[str, ...], ratio: float, arrived: tuple[int, int, int]
) -> None:
    received, variants = benches("received"), benches("variants")

    assert received.faults(variants.Variant(sdk, signals, ratio), 3, 100, received.Arrived(*arrived)) == []


def test_time_is_of_the_innermost_function_of_opentelemetry(benches: Any) -> None:
    components = benches("components")
    packages = "/venv/lib/python3.11/site-packages"
    hook = components.Frame("_before_request", f"{packages}/opentelemetry/instrumentation/flask/__init__.py", 455)
    server = components.Frame("Flask.wsgi_app", f"{packages}/flask/app.py", 1500)
    local = components.Frame("LocalProxy.__get__", f"{packages}/werkzeug/local.py", 300)
    span = components.Frame("Span.end", f"{packages}/opentelemetry/sdk/trace/__init__.py", 900)

    assert components.owner([server, local]) == components.PROGRAM
    assert components.owner([server, hook, local]) == ("contrib flask", hook)
    assert components.owner([hook, span]) == ("SDK", span)
    assert components.owner([hook, server, local]) == components.PROGRAM


def test_an_interval_contains_what_hardly_varies(benches: Any) -> None:
    costs = benches("costs")

    def of(base: float, vary: int) -> Any:
        processes = [
            costs.Portions([base + (each + number) % vary for each in range(50)], [base / 20] * 50)
            for number in range(8)
        ]
        return costs.Costs(processes)

    stock, ours = of(200.0, 5), of(20.0, 3)

    low, high = costs.interval(8, lambda some: stock.request(some) / ours.request(some))

    assert low <= stock.request(range(8)) / ours.request(range(8)) <= high
    assert high / low < 1.2


def test_an_interval_is_as_wide_as_processes_differ(benches: Any) -> None:
    costs = benches("costs")
    # Each process by itself never varies.
    differing = costs.Costs([costs.Portions([100.0 + 10 * each] * 1_000, [0.0] * 1_000) for each in range(8)])

    low, high = costs.interval(8, differing.request)

    assert high - low > 20
