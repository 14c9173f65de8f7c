"""Propagate with the stock propagators, or with the native ones, in this process, and print the cost as JSON.

    python propagate.py --sdk {stock,otel-rs} --row ROW [--calls N]

The time of a call, in nanoseconds, for each of several loops.
"""

import argparse
import json
import time
from collections.abc import Callable
from itertools import repeat

LOOPS = 5
CALLS_IN_A_LOOP = 20_000

TRACE_PARENT = {
    "REQUEST_METHOD": "GET",
    "HTTP_HOST": "shop:8080",
    "HTTP_TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
# The examples of W3C's documents.
ALL_HEADERS = {
    **TRACE_PARENT,
    "HTTP_TRACESTATE": "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
    "HTTP_BAGGAGE": "userId=Am%C3%A9lie,serverNode=DF%2028,isProduction=false",
}


def inject() -> Callable[[int], None]:
    from opentelemetry.propagate import inject

    def call(count: int) -> None:
        for _ in repeat(None, count):
            inject({})

    return call


def extract(environ: dict[str, str]) -> Callable[[int], None]:
    from opentelemetry.instrumentation.wsgi import wsgi_getter
    from opentelemetry.propagate import extract

    def call(count: int) -> None:
        for _ in repeat(None, count):
            extract(environ, getter=wsgi_getter)

    return call


ROWS: dict[str, Callable[[], Callable[[int], None]]] = {
    "inject": inject,
    "extract": lambda: extract(TRACE_PARENT),
    "extract-all": lambda: extract(ALL_HEADERS),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sdk", choices=["stock", "otel-rs"], required=True)
    parser.add_argument("--row", choices=ROWS, required=True)
    parser.add_argument("--calls", type=int, default=CALLS_IN_A_LOOP)
    arguments = parser.parse_args()

    if arguments.sdk == "otel-rs":
        import otel_rs

        otel_rs.install()
    from opentelemetry.sdk.trace import TracerProvider

    call = ROWS[arguments.row]()
    per_item = []
    with TracerProvider(shutdown_on_exit=False).get_tracer("benches").start_as_current_span("span"):
        for _ in range(1 + LOOPS):
            begin = time.perf_counter_ns()
            call(arguments.calls)
            per_item.append((time.perf_counter_ns() - begin) / arguments.calls)
    # The first loop warms up. Nothing is exported.
    print(json.dumps({"per_item": per_item[1:], "items": 0}))


if __name__ == "__main__":
    main()
