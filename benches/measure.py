"""Create the spans of one row with one of the two SDKs in this process, and print their cost as JSON.

    python measure.py --sdk {stock,otel-rs} --row ROW --endpoint ENDPOINT [--batch N | --cpu [--spans N]]

Without --cpu: the time of the app thread, in nanoseconds a span for each of several loops. The clock runs while a batch
of spans is made and is stopped while it is flushed. A batch must fit the queue. One above `max_export_batch_size` (512)
has exports run in the background meanwhile, as in a busy service; a smaller one has the app thread to itself.

With --cpu: all CPU of the process, user and system, of every thread, from the first span until the SDK has been shut
down, in nanoseconds. Each batch is flushed before the next one starts, so that no span is dropped.
"""

import argparse
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from configure import configure
from opentelemetry import context, trace
from opentelemetry.sdk.trace import sampling
from spans import bare, current, http

LOOPS = 5
SPANS_IN_A_LOOP = 8_000
# The default max_export_batch_size.
FULL_BATCH = 512
FLUSH_MILLIS = 30_000

ROWS: dict[str, Callable[[Any, int], None]] = {
    "bare": bare,
    "current": current,
    "http": http,
    "unsampled": current,
    "unsampled-parent": current,
}


def flush(provider: Any) -> None:
    if not provider.force_flush(FLUSH_MILLIS):
        raise SystemExit("force_flush failed: is the receiver there?")


def time_on_app_thread(make: Callable[[Any, int], None], provider: Any, batch: int) -> dict[str, Any]:
    tracer = provider.get_tracer("benches")
    batches = SPANS_IN_A_LOOP // batch
    per_span = []
    for _ in range(1 + LOOPS):
        elapsed = 0
        for _ in range(batches):
            begin = time.perf_counter_ns()
            make(tracer, batch)
            elapsed += time.perf_counter_ns() - begin
            flush(provider)
        per_span.append(elapsed / (batches * batch))
    provider.shutdown()
    # The first loop warms up.
    return {"per_span": per_span[1:], "items": len(per_span) * batches * batch}


def cpu_of_process(make: Callable[[Any, int], None], provider: Any, spans: int) -> dict[str, Any]:
    tracer = provider.get_tracer("benches")
    make(tracer, FULL_BATCH)
    flush(provider)
    # The same clock as user plus system time of getrusage(RUSAGE_SELF), without rounding to microseconds.
    begin = time.process_time_ns()
    for first in range(0, spans, FULL_BATCH):
        make(tracer, min(FULL_BATCH, spans - first))
        flush(provider)
    provider.shutdown()
    return {"cpu": time.process_time_ns() - begin, "items": FULL_BATCH + spans}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sdk", choices=["stock", "otel-rs"], required=True)
    parser.add_argument("--row", choices=ROWS, required=True)
    parser.add_argument("--protocol", choices=["grpc", "http"], default="grpc")
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--spans", type=int, default=20_480, help="with --cpu; 0 gives what the rest of it costs")
    arguments = parser.parse_args()

    make = ROWS[arguments.row]
    sampler = sampling.ALWAYS_OFF if arguments.row == "unsampled" else None
    with ExitStack() as stack:
        if arguments.row == "unsampled-parent":
            parent = trace.SpanContext(trace_id=1, span_id=1, is_remote=True, trace_flags=trace.TraceFlags(0))
            token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(parent)))
            stack.callback(context.detach, token)
        provider = configure(arguments.sdk, arguments.protocol, arguments.endpoint, sampler)
        if arguments.cpu:
            result = cpu_of_process(make, provider, arguments.spans)
        else:
            result = time_on_app_thread(make, provider, arguments.batch)
    if arguments.row.startswith("unsampled"):
        result["items"] = 0
    print(json.dumps(result))


if __name__ == "__main__":
    main()
