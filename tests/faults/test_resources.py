"""The machine runs out of a resource: the application continues, and what waits is exported when it is back."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from ..support.receiver import Answer, Receiver
from .programs import Program

# --- A full disk -----------------------------------------------------------------------------------------------------


FULL_DISK = """
class Raises(logging.Handler):
    def emit(self, record):
        raise OSError(28, "No space left on device")

logging.getLogger().addHandler(logging.FileHandler("/dev/full"))
logging.getLogger().addHandler(Raises())
before = os.dup(2)
os.dup2(os.open("/dev/full", os.O_WRONLY), 2)

tracer, processor = make(max_queue_size=100, max_export_batch_size=100)
with tracer.start_as_current_span("first") as span:
    # One log line from this thread, and one for the dropped spans.
    span.set_attribute("", 1)
log, log_processor = make_log(max_queue_size=100, max_export_batch_size=100)
log.addHandler(logging.FileHandler("/dev/full"))
assert_spans_stay_fast(tracer)
log_lines(log, 1000)
assert processor.force_flush()
assert log_processor.force_flush()
end_spans(tracer, 50)
log_lines(log, 50)
processor.shutdown()
log_processor.shutdown()
end_spans(tracer, 1)
log_lines(log, 1)
counts = checked_counts(processor), checked_counts(log_processor)
# The text that `logging` itself could not write there.
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
sys.stderr.flush()
os.dup2(before, 2)
print(json.dumps([counts, lines]))
"""


def test_a_disk_that_is_full_for_log_lines_and_standard_error(program: Program, receiver: Receiver) -> None:
    (counts, log_counts), lines = program(FULL_DISK)
    assert counts["created"] == 1 + 1000 + 50 + 1
    assert log_counts["created"] == 1000 + 50 + 1
    assert counts["exported"] == len(receiver.spans()) >= 150
    assert log_counts["exported"] == len(receiver.log_records()) >= 150
    for each in (counts, log_counts):
        assert each["exported"] + each["dropped"] == each["created"]
    for signal in ("spans", "log records"):
        assert any("Queue full" in line and signal in line for line in lines)


# --- Host names ------------------------------------------------------------------------------------------------------


NAMED = """
port = endpoint.split(":")[2]
tracer, processor = make(f"http://collector.invalid:{port}")
log, log_processor = make_log(f"http://collector.invalid:{port}")
"""


def test_a_name_that_is_not_found_is_looked_up_again(program: Program, receiver: Receiver, shim: Any) -> None:
    counts, log_counts, (waited, seconds), (flushed, _), lookups = program(
        f"""{NAMED}
assert_spans_stay_fast(tracer)
log_lines(log)
waited = timed(processor.force_flush, 300)
assert not log_processor.force_flush(1)
checked_counts(processor)
shim("names").value = LOOPBACK
end_spans(tracer)
log_lines(log)
flushed = timed(processor.force_flush, 20_000)
assert log_processor.force_flush(20_000)
counts = checked_counts(processor), checked_counts(log_processor)
print(json.dumps([*counts, waited, flushed, shim("looked_up").value]))
""",
        **shim,
    )
    assert not waited
    assert 0.3 <= seconds < 3
    assert lookups >= 2
    assert flushed
    assert counts["exported"] == counts["created"] == len(receiver.spans()) == 1100
    assert log_counts["exported"] == log_counts["created"] == len(receiver.log_records()) == 200


def test_a_name_server_that_never_answers_does_not_block_the_application(program: Program, shim: Any) -> None:
    counts, log_counts, (waited, waiting), (_, ending), (_, ending_logs) = program(
        f"""{NAMED}
shim("names").value = HANG
assert_spans_stay_fast(tracer)
log_lines(log)
waited = timed(processor.force_flush, 300)
ending = timed(processor.shutdown, 300)
ending_logs = timed(log_processor.shutdown, 300)
deadline = time.monotonic() + 10
while any(checked_counts(each)["pending"] for each in (processor, log_processor)) and time.monotonic() < deadline:
    time.sleep(0.01)
assert shim("looked_up").value > 0
print(json.dumps([processor.counts(), log_processor.counts(), waited, ending, ending_logs]))
""",
        **shim,
    )
    assert not waited
    assert waiting < 3
    assert ending < 3
    assert ending_logs < 3
    assert counts["created"] == counts["failed"] + counts["dropped"] == 1000
    assert log_counts["created"] == log_counts["failed"] + log_counts["dropped"] == 100


def test_look_ups_that_hang_do_not_pile_up_threads(program: Program, shim: Any) -> None:
    before, after, failed = program(
        """
shim("names").value = HANG
port = endpoint.split(":")[2]
tracer, processor = make(f"http://collector.invalid:{port}", {"timeout": 0.05}, schedule_delay_millis=20)

def threads_after_failures(count):
    deadline = time.monotonic() + 20
    while processor.counts()["failed"] < count and time.monotonic() < deadline:
        end_spans(tracer, 1)
        time.sleep(0.005)
    return len(os.listdir("/proc/self/task"))

before, after = threads_after_failures(1), threads_after_failures(150)
processor.shutdown(100)
print(json.dumps([before, after, processor.counts()["failed"]]))
""",
        **shim,
    )
    assert failed >= 150
    assert after < before + 5


# --- File descriptors ------------------------------------------------------------------------------------------------


DESCRIPTORS = """
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
held = []

def exhaust():
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        assert error.errno == 24, error

def free():
    while held:
        os.close(held.pop())

tracer, processor = make()
"""


def test_spans_and_log_records_wait_until_file_descriptors_are_available(program: Program, receiver: Receiver) -> None:
    counts, log_counts, (waited, seconds), lines = program(f"""{DESCRIPTORS}
log, log_processor = make_log()
exhaust()
assert_spans_stay_fast(tracer)
log_lines(log)
waited = timed(processor.force_flush, 300)
assert not log_processor.force_flush(100)
checked_counts(processor)
end_spans(tracer)
free()
assert processor.force_flush(20_000)
assert log_processor.force_flush(20_000)
print(json.dumps([checked_counts(processor), checked_counts(log_processor), waited, lines]))
""")
    assert not waited
    assert seconds < 3
    assert counts["exported"] == counts["created"] == len(receiver.spans()) == 1100
    assert log_counts["exported"] == log_counts["created"] == len(receiver.log_records()) == 100
    assert any("Too many open files" in line for line in lines)


def test_a_lost_connection_is_reopened_when_file_descriptors_are_available(
    program: Program, receiver: Receiver
) -> None:
    counts, (connected, _), (_, seconds) = program(f"""{DESCRIPTORS}
before = set(os.listdir("/proc/self/fd"))
end_spans(tracer, 1)
assert processor.force_flush()
port = endpoint.split(":")[2].split("/")[0]
def is_connection(number):
    try:
        return os.readlink(f"/proc/self/fd/{{number}}").startswith("socket:")
    except OSError:
        return False
numbers = [number for number in os.listdir("/proc/self/fd") if number not in before and is_connection(number)]
connections = [socket.socket(fileno=os.dup(int(number))) for number in numbers]
(connection,) = [c for c in connections if c.family == socket.AF_INET and c.getpeername()[1] == int(port)]
exhaust()
end_spans(tracer)
connected = timed(processor.force_flush, 20_000)
connection.shutdown(socket.SHUT_RDWR)
assert_spans_stay_fast(tracer)
waited = timed(processor.force_flush, 300)
checked_counts(processor)
free()
flushed = processor.force_flush(20_000)
assert flushed, (checked_counts(processor), lines)
print(json.dumps([checked_counts(processor), connected, waited]))
""")
    assert connected, "the existing connection still works"
    assert seconds < 3
    assert counts["exported"] == counts["created"] == len(receiver.spans()) == 1101


def last_sum(receiver: Receiver) -> int:
    return int(receiver.metrics()[-1].sum.data_points[0].as_int)


# --- Threads ---------------------------------------------------------------------------------------------------------


def test_everything_waits_until_a_thread_can_be_started(program: Program, receiver: Receiver, shim: Any) -> None:
    counts, log_counts, flushing, refused = program(
        """
tracer, processor = make()
counter, meters = make_counter()
log, log_processor = make_log()
shim("refuse_threads").value = 1
assert_spans_stay_fast(tracer)
log_lines(log)
counter.add(1)
_, flushing = timed(processor.force_flush, 300)
checked_counts(processor)
shim("refuse_threads").value = 0
end_spans(tracer)
counter.add(2)
log_lines(log)
assert processor.force_flush()
assert meters.force_flush()
assert log_processor.force_flush()
counts = checked_counts(processor), checked_counts(log_processor)
print(json.dumps([*counts, flushing, shim("refused_threads").value]))
""",
        **shim,
    )
    assert refused
    assert flushing < 3
    assert counts["exported"] == counts["created"] == len(receiver.spans()) == 1100
    assert log_counts["exported"] == log_counts["created"] == len(receiver.log_records()) == 200
    assert last_sum(receiver) == 3


@pytest.mark.parametrize("ending", ["force_flush", "shutdown"])
@pytest.mark.parametrize(
    "host",
    [
        pytest.param("127.0.0.1", id="address"),
        pytest.param("collector.invalid", id="name"),
    ],
)
def test_the_caller_exports_when_no_thread_can_be_started(
    program: Program, receiver: Receiver, shim: Any, host: str, ending: str
) -> None:
    counts, log_counts, (flushed, _), refused = program(
        f"""
tracer, processor = make(endpoint.replace("127.0.0.1", "{host}"))
log, log_processor = make_log(endpoint.replace("127.0.0.1", "{host}"))
shim("names").value = LOOPBACK
shim("refuse_threads").value = 1
end_spans(tracer)
ended = timed(processor.{ending}, 20_000)
counter, meters = make_counter(endpoint.replace("127.0.0.1", "{host}"))
counter.add(3)
assert meters.{ending}(20_000) in (True, None)
log_lines(log)
assert log_processor.{ending}(20_000) in (True, None)
counts = checked_counts(processor), checked_counts(log_processor)
print(json.dumps([*counts, ended, shim("refused_threads").value]))
""",
        **shim,
    )
    assert refused
    assert flushed in (True, None)
    assert counts["exported"] == counts["created"] == len(receiver.spans()) == 100
    assert log_counts["exported"] == log_counts["created"] == len(receiver.log_records()) == 100
    assert last_sum(receiver) == 3


def test_long_requests_are_compressed_when_no_thread_can_be_started(
    program: Program, receiver: Receiver, shim: Any
) -> None:
    """They are compressed on a separate thread, if one can be started."""
    counts, refused = program(
        """
tracer, processor = make(exporter={"compression": "gzip"} if protocol == "http" else {})
if protocol == "grpc":
    from otel_rs.exporter.otlp import Compression
    tracer, processor = make(exporter={"compression": Compression.Gzip})
end_spans(tracer, 1)
assert processor.force_flush()
shim("refuse_threads").value = 1
end_spans(tracer, 100, text="x" * 2_000)
assert processor.force_flush()
print(json.dumps([checked_counts(processor), shim("refused_threads").value]))
""",
        **shim,
    )
    assert refused
    assert counts["exported"] == counts["created"] == len(receiver.spans()) == 101


def test_a_name_is_looked_up_as_soon_as_a_thread_can_be_started(
    program: Program, receiver: Receiver, shim: Any
) -> None:
    """The C library's look-up blocks, so it runs on a separate thread."""
    counts, refused, lines = program(
        f"""{NAMED}
other, others = make()
end_spans(other, 1)
assert others.force_flush()
shim("names").value = LOOPBACK
shim("refuse_threads").value = 1
end_spans(tracer)
processor.force_flush(500)
checked_counts(processor)
shim("refuse_threads").value = 0
end_spans(tracer)
assert processor.force_flush(20_000)
print(json.dumps([checked_counts(processor), shim("refused_threads").value, lines]))
""",
        **shim,
    )
    assert refused
    assert counts["exported"] == counts["created"] == 200, lines
    assert len(receiver.spans()) == 201


# --- The clock -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-1, 1], ids=["back", "forward"])
def test_a_clock_step_of_an_hour_changes_only_times(
    program: Program, receiver: Receiver, shim: Any, hours: int
) -> None:
    unavailable = Answer(503) if receiver.protocol == "http" else Answer(grpc.StatusCode.UNAVAILABLE)
    receiver.answers = [unavailable]
    counts, times, (flushed, took) = program(
        f"""
step = shim("clock_step", ctypes.c_long)
tracer, processor = make(schedule_delay_millis=100)
stock = sdk.TracerProvider(shutdown_on_exit=False).get_tracer("stock")
log, log_processor = make_log()
log.info("before")

def wait_for(count):
    deadline = time.monotonic() + 20
    while checked_counts(processor)["exported"] < count:
        assert time.monotonic() < deadline, processor.counts()
        time.sleep(0.005)

spans = [stock.start_span("stock"), tracer.start_span("native")]
end_spans(tracer)
# The first request is refused, so the clock steps while it waits to be sent again.
time.sleep(0.2)
step.value = {hours} * 3600
log.info("after")
for span in spans:
    span.add_event("event")
    span.end()
times = [[span.end_time - span.start_time, span.events[0].timestamp - span.start_time] for span in spans]
wait_for(101)
end_spans(tracer)
# By the timer.
wait_for(201)
assert_spans_stay_fast(tracer)
flushed = timed(processor.force_flush, 20_000)
step.value = 0
end_spans(tracer)
wait_for(1301)
assert log_processor.force_flush()
processor.shutdown()
print(json.dumps([checked_counts(processor), times, flushed]))
""",
        **shim,
    )
    assert counts["exported"] == counts["created"] == 1301
    assert flushed
    assert took < 10
    stock, native = times
    for ours, theirs in zip(native, stock, strict=True):
        assert abs(theirs - hours * 3600e9) < 60e9
        assert abs(ours - theirs) < 1e9
    (span,) = {span.span_id: span for span in receiver.spans() if span.name == "native"}.values()
    assert span.end_time_unix_nano - span.start_time_unix_nano == native[0]
    before, after = receiver.log_records()
    for field in ("time_unix_nano", "observed_time_unix_nano"):
        assert abs(getattr(after, field) - getattr(before, field) - hours * 3600e9) < 60e9
