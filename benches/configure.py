"""Configure one of the two SDKs to send traces with OTLP; as a program, measure the time for that.

    python configure.py {stock,otel-rs} ENDPOINT

The program is the row "import and configure". It prints the elapsed time and the CPU time, in nanoseconds, from before
the first import of OpenTelemetry until a tracer exists. It imports nothing before that, not even argparse, so that
neither SDK finds a loaded module; the start of the interpreter is not included.
"""

import sys
import time

TYPE_CHECKING = False  # typing is not imported at run time either
if TYPE_CHECKING:
    from typing import Any


def configure(sdk: str, protocol: str, endpoint: str, sampler: "Any" = None) -> "Any":
    """A provider with a BatchSpanProcessor and an OTLP exporter, everything else at its default."""
    if sdk == "stock":
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        if protocol == "grpc":
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        else:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    else:
        from otel_rs import BatchSpanProcessor, TracerProvider

        if protocol == "grpc":
            from otel_rs.exporter.otlp.grpc import OTLPSpanExporter
        else:
            from otel_rs.exporter.otlp.http import OTLPSpanExporter

    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    return provider


def main() -> None:
    sdk, endpoint = sys.argv[1:]
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    configure(sdk, "grpc", endpoint).get_tracer("benches")
    wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
    print(f'{{"wall": {wall}, "cpu": {cpu}, "items": 0}}')


if __name__ == "__main__":
    main()
