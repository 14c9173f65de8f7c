"""test_collector.py runs this under opentelemetry-instrument: it creates all kinds of metrics, logs and a span."""

from opentelemetry import metrics, trace
from opentelemetry._logs import SeverityNumber, get_logger

meter = metrics.get_meter("all_signals", "1.0", schema_url="https://example.com/schema")
logger = get_logger("all_signals", "1.0", schema_url="https://example.com/schema")
meter.create_observable_counter("observed", [lambda _: [metrics.Observation(number)]])

with trace.get_tracer("all_signals").start_as_current_span("span"):
    for number in range(10):
        attributes = {"even": number % 2 == 0}
        meter.create_counter("counter", "1", "A counter").add(number, attributes)
        meter.create_up_down_counter("up_and_down").add(-number / 4, attributes)
        meter.create_gauge("gauge").set(number / 2, attributes)
        meter.create_histogram("histogram", "s").record(number * 10, attributes)
        logger.emit(
            severity_number=SeverityNumber.WARN,
            severity_text="WARN",
            body={"number": number, "nested": [1, "a", None, {"bytes": b"\x00\xff"}]},
            attributes={"list": [number]},
            event_name="numbered",
        )

# No flush here: the exit of the program must export everything pending.
