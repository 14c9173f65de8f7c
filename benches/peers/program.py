"""Make HTTP spans with one peer in this process, and print what they cost as JSON.

    python program.py --peer PEER --endpoint URL [--portions N]

A portion is a full batch of 512 spans. Between portions the program sleeps, so that no queue is ever full: not every
peer has a flush. "app" is the time of the thread that makes the spans, in nanoseconds for each; "cpu" is that of the
whole process, all threads, until the peer has been shut down. Nothing is measured in the first portions.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import repeat
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))
from spans import HTTP_ATTRIBUTES, HTTP_NAME, http

PORTION = 512
PAUSE_SECONDS = 0.2
WARM_UP = 4

Make = Callable[[int], None]
Peer = tuple[Make, Callable[[], object]]


def by_configure(sdk: str, endpoint: str) -> Peer:
    from configure import configure

    provider = configure(sdk, "http", f"{endpoint}/v1/traces")
    tracer = provider.get_tracer("benches")
    return lambda count: http(tracer, count), provider.shutdown


def fastotel(endpoint: str) -> Peer:
    from fastotel import OTLPSpanProcessor
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider()
    provider.add_span_processor(OTLPSpanProcessor(endpoint=f"{endpoint}/v1/traces"))
    tracer = provider.get_tracer("benches")
    return lambda count: http(tracer, count), provider.shutdown


HONEYCOMB = """
file_format: "1.0"
tracer_provider:
  processors:
    - batch:
        exporter:
          otlp_http:
            endpoint: {endpoint}/v1/traces
"""


def honeycomb(endpoint: str) -> Peer:
    import honeycomb_pycpp

    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(HONEYCOMB.format(endpoint=endpoint))
        file.flush()
        sdk = honeycomb_pycpp.SDK(file.name)
    tracer = sdk.tracer_provider.get_tracer("benches")
    return lambda count: http(tracer, count), sdk.shutdown


def pytracingx(endpoint: str) -> Peer:
    import pytracingx

    sink = pytracingx.TraceSink(endpoint=f"{endpoint}/v1/traces", protocol="http/protobuf")
    pytracingx.init(pytracingx.Config(service_name="benches", sinks=[sink], console_output=False))
    start_span = pytracingx.start_span

    def make(count: int) -> None:
        for _ in repeat(None, count):
            with start_span(HTTP_NAME, attributes=HTTP_ATTRIBUTES, kind="server") as span:
                span.set_attribute("http.route", "/orders/{id}")
                span.set_attribute("http.status_code", 200)

    return make, pytracingx.shutdown


PEERS: dict[str, Callable[[str], Peer]] = {
    "opentelemetry-sdk": lambda endpoint: by_configure("stock", endpoint),
    "otel-rs": lambda endpoint: by_configure("otel-rs", endpoint),
    "fastotel": fastotel,
    "honeycomb-pycpp": honeycomb,
    "pytracingx": pytracingx,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", choices=PEERS, required=True)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--portions", type=int, required=True)
    arguments = parser.parse_args()

    make, shutdown = PEERS[arguments.peer](arguments.endpoint)
    for _ in range(WARM_UP):
        make(PORTION)
        time.sleep(PAUSE_SECONDS)
    elapsed, cpu = [], time.process_time_ns()
    for _ in range(arguments.portions):
        begin = time.perf_counter_ns()
        make(PORTION)
        elapsed.append((time.perf_counter_ns() - begin) / PORTION)
        time.sleep(PAUSE_SECONDS)
    shutdown()
    cpu = time.process_time_ns() - cpu
    print(json.dumps({"app": elapsed, "cpu": cpu, "spans": PORTION * (WARM_UP + arguments.portions)}))


if __name__ == "__main__":
    main()
