"""Export log records or metrics with one of the two OTLP exporters in this process, and print the cost as JSON.

    python export.py --sdk {stock,otel-rs} --signal {logs,metrics} --protocol {grpc,http} --endpoint ENDPOINT

The stock SDK creates the exported data for both exporters. The figure is the CPU time of the process, user and system,
of all threads, only for the calls of `export`, each of which waits for the receiver's answer.
"""

import argparse
import json
import time
from importlib import import_module
from typing import Any

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

# The default max_export_batch_size for log records.
RECORDS = 512
# The number of series of each of two instruments, as in a service with this many routes and status codes.
SERIES = 100
EXPORTS = 40

RESOURCE = Resource({"service.name": "shop", "service.version": "1.2.3", "host.name": "shop-1", "process.pid": 42})

EXPORTERS = {
    ("stock", "grpc", "logs"): ("opentelemetry.exporter.otlp.proto.grpc._log_exporter", "OTLPLogExporter"),
    ("stock", "http", "logs"): ("opentelemetry.exporter.otlp.proto.http._log_exporter", "OTLPLogExporter"),
    ("stock", "grpc", "metrics"): ("opentelemetry.exporter.otlp.proto.grpc.metric_exporter", "OTLPMetricExporter"),
    ("stock", "http", "metrics"): ("opentelemetry.exporter.otlp.proto.http.metric_exporter", "OTLPMetricExporter"),
    ("otel-rs", "grpc", "logs"): ("otel_rs.exporter.otlp.grpc", "OTLPLogExporter"),
    ("otel-rs", "http", "logs"): ("otel_rs.exporter.otlp.http", "OTLPLogExporter"),
    ("otel-rs", "grpc", "metrics"): ("otel_rs.exporter.otlp.grpc", "OTLPMetricExporter"),
    ("otel-rs", "http", "metrics"): ("otel_rs.exporter.otlp.http", "OTLPMetricExporter"),
}


def logs() -> tuple[Any, int]:
    """The records that `logging.info` creates, with the attributes of upstream's handler and two of the application."""
    memory = InMemoryLogRecordExporter()
    provider = LoggerProvider(RESOURCE, shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    logger = provider.get_logger("shop.orders")
    for number in range(RECORDS):
        logger.emit(
            timestamp=time.time_ns(),
            severity_number=SeverityNumber.INFO,
            severity_text="INFO",
            body=f"order {number} was placed by customer 17",
            attributes={
                "code.file.path": "/app/shop/orders.py",
                "code.function.name": "place_order",
                "code.line.number": 42,
                "order.id": number,
                "customer.id": "c-17",
            },
        )
    return memory.get_finished_logs(), RECORDS


def metrics() -> tuple[Any, int]:
    """The metrics of a counter and a histogram of requests."""
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], RESOURCE, shutdown_on_exit=False).get_meter("shop.http", "1.0")
    counter = meter.create_counter("http.server.requests", "1", "Requests")
    durations = meter.create_histogram("http.server.request.duration", "s", "Duration of requests")
    for number in range(SERIES):
        attributes = {
            "http.request.method": "GET",
            "http.route": f"/orders/{number}",
            "http.response.status_code": 200,
            "url.scheme": "https",
        }
        counter.add(number, attributes)
        durations.record(number / 7, attributes)
    return reader.get_metrics_data(), 2 * SERIES


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sdk", choices=["stock", "otel-rs"], required=True)
    parser.add_argument("--signal", choices=["logs", "metrics"], required=True)
    parser.add_argument("--protocol", choices=["grpc", "http"], required=True)
    parser.add_argument("--endpoint", required=True)
    arguments = parser.parse_args()

    module, name = EXPORTERS[arguments.sdk, arguments.protocol, arguments.signal]
    exporter = getattr(import_module(module), name)(endpoint=arguments.endpoint)
    data, items = {"logs": logs, "metrics": metrics}[arguments.signal]()

    def export() -> None:
        if exporter.export(data).name != "SUCCESS":
            raise SystemExit("export failed: is the receiver there?")

    # The first export opens the connection.
    export()
    begin = time.process_time_ns()
    for _ in range(EXPORTS):
        export()
    cpu = time.process_time_ns() - begin
    exporter.shutdown()
    print(json.dumps({"cpu": cpu, "measured": EXPORTS * items, "items": (1 + EXPORTS) * items}))


if __name__ == "__main__":
    main()
