"""Draw what benches/results/ has as one picture, docs/images/benchmarks.svg (`make plots`; needs matplotlib).

    python benches/plot.py REQUESTS PEERS PICTURE

REQUESTS is what `applications/run.py --save` has kept, PEERS what `peers/run.py --save` has.
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

NAMES = {"flask": "Flask", "fastapi": "FastAPI", "django": "Django", "celery": "Celery"}
STOCK, OURS, OTHER = "#b0b7c3", "#c2410c", "#7c8aa0"


def bars(axes: Any, title: str, unit: str, values: dict[str, float], colors: list[str]) -> None:
    names = list(values)
    drawn = axes.barh(names, list(values.values()), color=colors, height=0.7)
    axes.bar_label(drawn, [f"{value:,.{0 if value >= 100 else 1}f}" for value in values.values()], padding=4)
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(unit)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    plt.switch_backend("svg")
    # Texts stay texts: they can be read aloud, searched, and need no font in the file.
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "benches", "font.family": "sans-serif"})
    requests, peers = (json.loads(Path(name).read_text()) for name in sys.argv[1:3])
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 7), layout="constrained", height_ratios=[1.2, 1])

    overheads, colors = {}, []
    for application, results in requests["applications"].items():
        over_none = results["pairs"]["all signals, gRPC"]["over_none"]
        for sdk, name, color in (("stock", "opentelemetry-sdk", STOCK), ("otel-rs", "otel-rs", OURS)):
            overheads[f"{NAMES[application]}: {name}"] = over_none[sdk] / 1e3
            colors.append(color)
    bars(above, "What telemetry adds to a request: all signals, zero-code", "us of CPU", overheads, colors)

    spans = {
        peer: statistics.median(sample["cpu"] for sample in samples) / 1e3
        for peer, samples in peers["nanoseconds"].items()
    }
    colors = [{"opentelemetry-sdk": STOCK, "otel-rs": OURS}.get(peer, OTHER) for peer in spans]
    bars(below, "An HTTP span over OTLP/HTTP, until it is received", "us of CPU, all threads", spans, colors)
    where = f"{peers['cpu']}, {peers['cores']} cores, {peers['python']}, {peers['date'][:10]}"
    figure.text(0.01, -0.02, where, fontsize=8, color="#555555")
    picture = Path(sys.argv[3])
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, bbox_inches="tight", metadata={"Date": None, "Title": "otel-rs and others: costs"})


if __name__ == "__main__":
    main()
