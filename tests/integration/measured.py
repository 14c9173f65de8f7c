"""What the metrics of a run add up to, as the Collector received them: for each process, metric and attributes.

A cumulative series counts with the last value of each of its starts; of deltas every one counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from .otelcol import attributes_of

DELTA, CUMULATIVE = 1, 2

SPANS, SIZES, LEVEL, OBSERVED = "spans", "sizes", "level", "observed"
"""Of each span the programs count one in the first, record `SIZE` in the second, and go one up in the third, by a few
steps. The last is observable, and reads how many spans the process has ended."""
SIZE = 3


class Point(NamedTuple):
    pid: int
    metric: str
    attributes: frozenset[tuple[str, Any]]
    instance: str
    temporality: int
    start: int
    time: int
    value: tuple[float, ...]
    """The sum; for a histogram the count and the sum."""


def points_of(received: list[dict[str, Any]], scope: str) -> Iterator[Point]:
    """The points of sums and histograms of the scope of this name in OTLP/JSON ResourceMetrics."""
    for item in received:
        resource = attributes_of(item["resource"])
        for scope_metrics in item["scopeMetrics"]:
            if scope_metrics["scope"]["name"] != scope:
                continue
            for metric in scope_metrics["metrics"]:
                kind = "sum" if "sum" in metric else "histogram"
                for point in metric[kind]["dataPoints"]:
                    yield Point(
                        resource["process.pid"],
                        metric["name"],
                        frozenset(attributes_of(point).items()),
                        resource.get("service.instance.id", ""),
                        metric[kind]["aggregationTemporality"],
                        int(point["startTimeUnixNano"]),
                        int(point["timeUnixNano"]),
                        (int(point["asInt"]),) if kind == "sum" else (int(point["count"]), point["sum"]),
                    )


def totals(points: list[Point]) -> dict[tuple[int, str, frozenset[tuple[str, Any]]], tuple[float, ...]]:
    """What each process measured in each metric with each set of attributes."""
    series: dict[Any, list[Point]] = {}
    for point in sorted(points, key=lambda point: point.time):
        start = point.start if point.temporality == CUMULATIVE else None
        series.setdefault((point.pid, point.metric, point.attributes, point.instance, start), []).append(point)
    sums: dict[Any, tuple[float, ...]] = {}
    for (pid, metric, attributes, *_), each in series.items():
        if each[0].temporality == DELTA:
            assert_apart(each)
            value = tuple(map(sum, zip(*(point.value for point in each), strict=True)))
        else:
            value = each[-1].value
        known = sums.get((pid, metric, attributes), (0,) * len(value))
        sums[pid, metric, attributes] = tuple(map(sum, zip(known, value, strict=True)))
    return sums


def assert_apart(deltas: list[Point]) -> None:
    for before, after in pairwise(deltas):
        assert before.time <= after.start, f"a delta came twice: {before} {after}"


def assert_measured(
    received: list[dict[str, Any]],
    scope: str,
    ended: Counter[tuple[int, str]],
    temporality: str,
    observed: frozenset[int] = frozenset(),
) -> None:
    """Asserts that metrics and spans agree to the unit, `ended` being the number of spans by process and name; and
    that the processes `observed` read their observable instrument after their last span."""
    points = list(points_of(received, scope))
    sums = totals(points)
    assert {point.temporality for point in points if point.metric in (SPANS, SIZES)} == {
        DELTA if temporality == "delta" else CUMULATIVE
    }

    def of(metric: str) -> dict[tuple[int, Any], tuple[float, ...]]:
        return {
            (pid, dict(attributes).get("name")): value
            for (pid, name, attributes), value in sums.items()
            if name == metric
        }

    assert_same(SPANS, of(SPANS), {key: (count,) for key, count in ended.items()})
    assert_same(SIZES, of(SIZES), {key: (count, count * SIZE) for key, count in ended.items()})
    assert_same(LEVEL, of(LEVEL), {key: (count,) for key, count in ended.items()})
    by_pid: Counter[int] = Counter()
    for (pid, _), count in ended.items():
        by_pid[pid] += count
    read = {pid: value[0] for (pid, _), value in of(OBSERVED).items()}
    assert all(value <= by_pid[pid] for pid, value in read.items()), f"{OBSERVED} counted twice: {read} of {by_pid}"
    assert {pid: read.get(pid) for pid in observed} == {pid: by_pid[pid] for pid in observed}, OBSERVED

    instances: dict[int, set[str]] = {}
    starts: dict[tuple[str, int], set[int]] = {}
    for point in points:
        instances.setdefault(point.pid, set()).add(point.instance)
        starts.setdefault((point.metric, point.start), set()).add(point.pid)
    identities = Counter(instance for ids in instances.values() for instance in ids)
    assert set(identities.values()) <= {1}, f"processes share an identity: {instances}"
    inherited = {key: pids for key, pids in starts.items() if len(pids) > 1}
    assert not inherited, f"processes share a start time: {inherited}"


def assert_same(metric: str, measured: dict[Any, tuple[float, ...]], expected: dict[Any, tuple[float, ...]]) -> None:
    wrong = {
        key: (measured.get(key), expected.get(key))
        for key in measured.keys() | expected.keys()
        if measured.get(key) != expected.get(key)
    }
    assert not wrong, f"{metric} (measured, expected): {wrong}"
