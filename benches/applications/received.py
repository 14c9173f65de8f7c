"""What arrived of each variant, which has its name as the name of its service, and what must arrive."""

import json
import math
import re
from collections import Counter
from typing import Any, NamedTuple

from receiver import Receiver, wait_until
from variants import Variant

SERVICE = re.compile(rb'"service\.name","value":\{"stringValue":"([^"]+)"')
SPANS = {"flask": 3, "django": 3, "fastapi": 5, "celery": 3}
"""Of a request. FastAPI's instrumentation makes two for the messages of an answer."""
# A histogram of every application: it asks for prices once in each request.
DURATIONS = "http.client.duration"
# A sampled part this many standard deviations away is a fault.
DEVIATIONS = 6


class Arrived(NamedTuple):
    spans: int
    records: int
    measured: int


def faults(variant: Variant, spans: int, requests: int, arrived: Arrived) -> list[str]:
    """What does not agree with so many requests of so many spans each."""
    found = []
    for signal, got in (("metrics", arrived.measured), ("logs", arrived.records)):
        expected = requests if signal in variant.signals else 0
        if got != expected:
            found.append(f"{got} requests in the {signal}, not {expected}")
    traces = requests * variant.ratio if "traces" in variant.signals else 0
    deviation = math.sqrt(traces * (1 - variant.ratio))
    if arrived.spans % spans or abs(arrived.spans / spans - traces) > DEVIATIONS * deviation:
        found.append(f"{arrived.spans} spans, not {spans} for each of {traces:.0f} traces")
    return found


class Received(Receiver):
    def __init__(self) -> None:
        self.spans: Counter[str] = Counter()
        self.records: Counter[str] = Counter()
        self.measured: Counter[str] = Counter()
        """The requests in the newest points of the durations."""
        super().__init__()

    def endpoints(self) -> dict[str, str]:
        """For all signals, by protocol."""
        return {protocol: self.endpoint(protocol).removesuffix("/v1/traces") for protocol in ("grpc", "http")}

    def take(self, line: bytes) -> int:
        items = super().take(line)
        match = SERVICE.search(line)
        service = match[1].decode() if match else ""
        if line.startswith(b'{"resourceSpans"'):
            self.spans[service] += items
        elif line.startswith(b'{"resourceLogs"'):
            self.records[service] += items
        else:
            # Of several processes of a server one answers.
            requests = sum(int(point["count"]) for point in durations(json.loads(line)))
            self.measured[service] = max(self.measured[service], requests)
        return items

    def arrived(self, variant: Variant) -> Arrived:
        return Arrived(self.spans[variant.name], self.records[variant.name], self.measured[variant.name])

    def check(self, application: str, requests: dict[Variant, int]) -> None:
        """Wait for everything; stop the run if it is not right."""

        def wrong() -> list[str]:
            return [
                f"{variant.name}: {fault}"
                for variant, done in requests.items()
                for fault in faults(variant, SPANS[application], done, self.arrived(variant))
            ]

        wait_until(lambda: not wrong())
        if remaining := wrong():
            raise SystemExit("Received, so the figures mean nothing: " + "; ".join(remaining))


def durations(request: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        point
        for resource in request.get("resourceMetrics", [])
        for scope in resource["scopeMetrics"]
        for metric in scope["metrics"]
        if metric["name"] == DURATIONS
        for point in metric["histogram"]["dataPoints"]
    ]
