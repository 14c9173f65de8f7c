"""The two tables of an application: otel-rs beside the stock SDK, and each variant by itself."""

import statistics
from typing import Any

from costs import Costs, interval, percentile
from variants import SIGNALS, Variant

NONE, API = Variant("none"), Variant("api")
# The stock SDK's overhead is to be so many times that of otel-rs, by the part of the traces that is sampled.
TARGETS = {1: 10, 0.01: 20}
PERCENTILES = {"p50": 50, "p99": 99, "p99.9": 99.9}


def show(costs: dict[Variant, Costs]) -> dict[str, Any]:
    """Prints them, and returns what they say as data."""
    none = costs[NONE]
    processes = len(none.processes)

    def over_none(variant: Variant, processes: list[int]) -> float:
        return costs[variant].request(processes) - none.request(processes)

    everything = list(range(processes))
    pairs: dict[str, Any] = {}
    print("| us of CPU a request, over none | opentelemetry-sdk | otel-rs | ratio | 95% | target | |")
    print("|---|---|---|---|---|---|---|")
    for ours in (variant for variant in costs if variant.sdk == "otel-rs"):
        stock = Variant("stock", ours.signals, ours.ratio, ours.protocol)
        over = {"stock": over_none(stock, everything), "otel-rs": over_none(ours, everything)}
        ratio = over["stock"] / over["otel-rs"]
        low, high = interval(processes, lambda some, a=stock, b=ours: over_none(a, some) / over_none(b, some))
        target = TARGETS.get(ours.ratio) if ours.signals == SIGNALS else None
        verdict = ("met" if ratio >= target else "missed") if target else ""
        print(
            f"| {ours.what} | {over['stock'] / 1e3:,.0f} | {over['otel-rs'] / 1e3:,.0f} | {ratio:.2f}x "
            f"| {low:.2f} to {high:.2f} | {f'{target}x' if target else ''} | {verdict} |"
        )
        pairs[ours.what] = {"over_none": over, "ratio": ratio, "interval": [low, high]}

    alone: dict[str, Any] = {}
    # Where it is known which thread does what.
    inside = ["exporting threads", "a collection of the metrics"] if any(none.processes[0].thread) else []
    columns = ["CPU a request", "over none", *PERCENTILES, *inside]
    print(f"\n| us | {' | '.join(columns)} |\n|{'---|' * (1 + len(columns))}")
    for variant, cost in costs.items():
        latencies = sorted(cost.latencies)
        figures = {
            "CPU a request": cost.request(everything),
            "over none": over_none(variant, everything),
            **{name: percentile(latencies, percent) for name, percent in PERCENTILES.items()},
            "exporting threads": cost.others(),
            "a collection of the metrics": statistics.fmean(cost.collections),
        }
        alone[variant.name] = {column: figures[column] for column in columns}
        print(f"| {variant.name} | " + " | ".join(f"{each / 1e3:,.0f}" for each in alone[variant.name].values()) + " |")
    return {"pairs": pairs, "variants": alone}
