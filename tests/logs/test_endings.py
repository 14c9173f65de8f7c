"""Lines that were logged before a process ends arrive, however it ends, and those of forked children once each."""

from __future__ import annotations

import re
import signal
import sys
from collections import Counter

import pytest

from ..support.receiver import Receiver
from ..support.traced_program import TracedProgram, run

# Lines are exported only by a flush, or at the end.
PRELUDE = """
import atexit, json, logging, multiprocessing, os, signal, sys, threading, time
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk.resources import Resource
from otel_rs.exporter.otlp import grpc, http
from otel_rs.logs import LoggerProvider
from otel_rs.logs.export import BatchLogRecordProcessor
from otel_rs.logs.instrumentation import LoggingHandler

exporter = {"grpc": grpc, "http": http}[os.environ["TEST_PROTOCOL"]].OTLPLogExporter
processor = BatchLogRecordProcessor(exporter(), schedule_delay_millis=3_600_000, max_queue_size=200_000)
provider = LoggerProvider(resource=Resource({"service.name": "shop"}))
provider.add_log_record_processor(processor)
set_logger_provider(provider)
handler = LoggingHandler(logger_provider=provider)
logging.getLogger().addHandler(handler)
log = logging.getLogger("app")
log.setLevel(logging.INFO)

def tell(**facts):
    os.write(1, json.dumps(facts).encode() + b"\\n")

"""


def destination(receiver: Receiver) -> dict[str, str]:
    return {
        "prelude": PRELUDE,
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": receiver.endpoint_of("logs"),
        "TEST_PROTOCOL": receiver.protocol,
    }


def bodies(receiver: Receiver) -> Counter[str]:
    return Counter(record.body.string_value for record in receiver.log_records())


TEN_LINES = "for _ in range(10): log.info('logged')\n"

WAYS = {
    "the last line": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "an exception": ("raise ValueError('on purpose')", 1),
    "logging.shutdown before": ("logging.shutdown(); log.info('logged')", 0),
    "sys.exit in a SIGTERM handler": (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(4)); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)",
        4,
    ),
    "force_flush, then os._exit": ("provider.force_flush(); os._exit(5)", 5),
    "KeyboardInterrupt": ("os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", -signal.SIGINT),
    "a raised signal": ("signal.raise_signal(signal.SIGTERM)", -signal.SIGTERM),
    "no reference to the provider": (
        "import opentelemetry._logs._internal as api; api._LOGGER_PROVIDER = None\n"
        "logging.getLogger().removeHandler(handler); del handler, provider, processor",
        0,
    ),
}


@pytest.mark.parametrize(("program", "code"), WAYS.values(), ids=WAYS)
def test_lines_arrive_once(receiver: Receiver, program: str, code: int) -> None:
    ended = run(TEN_LINES + program, **destination(receiver))  # type: ignore[arg-type]
    assert ended.code == code, ended.stderr
    assert bodies(receiver) == {"logged": 11 if "log.info" in program else 10}


def test_what_is_logged_in_an_exit_hook_is_delivered(http_receiver: Receiver) -> None:
    program = """
atexit.register(lambda: log.info("in a hook"))
log.info("in the program")
"""
    ended = run(program, **destination(http_receiver))  # type: ignore[arg-type]
    assert ended.code == 0, ended.stderr
    assert bodies(http_receiver) == {"in the program": 1, "in a hook": 1}


def test_lines_of_daemon_threads_at_the_exit_are_delivered_or_counted(receiver: Receiver) -> None:
    program = """
made = [0] * 4
def work(number):
    while True:
        log.info("daemon %d", number, extra={"list": [1]})
        made[number] += 1
for number in range(4):
    threading.Thread(target=work, args=(number,), daemon=True).start()
while min(made) < 100:
    time.sleep(0.001)
sys.exit(3)
"""
    # Registered before the provider's own hook, so it runs after it.
    counted = "atexit.register(lambda: tell(counts=processor.counts()))"
    before = PRELUDE.replace("processor = ", f"{counted}\nprocessor = ", 1)
    ended = run(program, **{**destination(receiver), "prelude": before})  # type: ignore[arg-type]
    assert ended.code == 3, ended.stderr
    counts = ended.fact("counts")
    assert counts["created"] == counts["exported"] + counts["dropped"]
    assert len(receiver.log_records()) == counts["exported"] >= 400
    assert "Traceback" not in ended.stderr


def test_logging_shuts_down_where_no_thread_can_be_started(http_receiver: Receiver) -> None:
    """As at the exit since Python 3.12. Upstream's handler flushes what is Python's in a thread."""
    program = """
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
flushed = []
class Last(logging.Handler):
    def flush(self): flushed.append(True)
logging.getLogger("last").addHandler(last := Last())
logging._handlerList.insert(0, logging._handlerList.pop())  # shutdown goes from the last to the first
provider.add_log_record_processor(BatchLogRecordProcessor(InMemoryLogRecordExporter()))
log.info("logged")
def refused(self):
    raise RuntimeError("can't create new thread at interpreter shutdown")
start, threading.Thread.start = threading.Thread.start, refused
logging.shutdown()
threading.Thread.start = start
tell(flushed=flushed)
"""
    ended = run(program, **destination(http_receiver))  # type: ignore[arg-type]
    assert ended.code == 0, ended.stderr
    assert ended.fact("flushed") == [True]
    assert bodies(http_receiver) == {"logged": 1}


def test_an_exit_without_a_collector_is_reported_once_and_not_exported() -> None:
    environment = {
        "prelude": PRELUDE,
        "TEST_PROTOCOL": "http",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://127.0.0.1:1/v1/logs",
        "OTEL_RS_EXIT_TIMEOUT": "3000",
    }
    program = """
logging.basicConfig()
log.info("lost")
provider.force_flush(1000)
log.info("lost")
atexit.unregister(provider.shutdown)
provider.shutdown()
tell(counts=processor.counts())
"""
    ended = run(program, **environment)  # type: ignore[arg-type]
    counts = ended.fact("counts")
    assert (counts["created"], counts["exported"], counts["pending"]) == (2, 0, 0)
    assert counts["failed"] + counts["dropped"] == 2
    assert len(re.findall("Failed to export", ended.stderr)) <= 2


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_parent_and_child_deliver_their_own_lines_once(receiver: Receiver) -> None:
    program = """
log.info("before the fork")
child = os.fork()
if child == 0:
    log.info("in the child")
    tell(counts=processor.counts())
    sys.exit(0)
os.waitpid(child, 0)
log.info("in the parent")
"""
    ended = run(program, **destination(receiver))  # type: ignore[arg-type]
    assert ended.code == 0, ended.stderr
    assert bodies(receiver) == {"before the fork": 1, "in the child": 1, "in the parent": 1}
    assert ended.fact("counts")["created"] == 1


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_child_has_a_resource_of_its_own(http_receiver: Receiver) -> None:
    program = """
from opentelemetry.sdk.resources import ProcessResourceDetector
log.info("in the parent")
child = os.fork()
if child == 0:
    log.info("in the child")
    tell(same=provider.get_logger("app").resource is provider.resource, id=provider.resource.attributes.get(
        "service.instance.id"))
    sys.exit(0)
os.waitpid(child, 0)
tell(id=provider.resource.attributes.get("service.instance.id"))
"""
    ended = run(program, **destination(http_receiver))  # type: ignore[arg-type]
    assert ended.code == 0, ended.stderr
    assert ended.fact("same") is True
    resources = {
        scope.log_records[0].body.string_value: {
            attribute.key: attribute.value.string_value for attribute in resource_logs.resource.attributes
        }
        for request in http_receiver.requests
        for resource_logs in request.message.resource_logs
        for scope in resource_logs.scope_logs
    }
    of_child = ended.all_facts[0]["id"]
    assert resources["in the child"].get("service.instance.id") == of_child
    assert resources["in the child"] != resources["in the parent"] or of_child is None


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_fork_in_c_is_detected(http_receiver: Receiver) -> None:
    program = """
import ctypes
log.info("before")
assert provider.force_flush()
log.info("waiting")
# The call keeps the GIL, as uWSGI does; Python's own fork hooks do not run.
pid = ctypes.PyDLL(None).fork()
log.info("after" if pid else "child")
assert provider.force_flush(20_000)
if pid:
    assert os.waitpid(pid, 0)[1] == 0
else:
    os._exit(0)
"""
    ended = run(program, **destination(http_receiver))  # type: ignore[arg-type]
    assert ended.code == 0, ended.stderr
    assert bodies(http_receiver) == {"before": 1, "waiting": 1, "child": 1, "after": 1}


CHILDREN = {
    "Process": """
children = [context.Process(target=work) for _ in range(3)]
for child in children: child.start()
for child in children: child.join()
""",
    "Pool": """
with context.Pool(2) as pool:
    pool.map(work, range(3), chunksize=1)
    pool.close()
    pool.join()
""",
    "ProcessPoolExecutor": """
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(2, mp_context=context) as pool:
    list(pool.map(work, range(3)))
""",
}


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
@pytest.mark.parametrize("program", CHILDREN.values(), ids=CHILDREN)
def test_children_of_multiprocessing_deliver(http_receiver: Receiver, program: str) -> None:
    setup = """
context = multiprocessing.get_context("fork")
def work(*_):
    log.info("in a child")
"""
    ended = run(setup + program, **destination(http_receiver))  # type: ignore[arg-type]
    assert ended.code == 0, ended.stderr
    assert bodies(http_receiver) == {"in a child": 3}


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_forks_while_threads_log(http_receiver: Receiver) -> None:
    program = """
stop = threading.Event()
def work(name):
    number = 0
    while not stop.is_set() and number < 5000:
        log.info(f"{name} {number}", extra={"values": [number]})
        number += 1
threads = [threading.Thread(target=work, args=(f"thread {number}",)) for number in range(3)]
for thread in threads: thread.start()
children = []
for number in range(8):
    child = os.fork()
    if child == 0:
        for line in range(20): log.info(f"child {number} {line}", extra={"values": [line]})
        tell(child=processor.counts()["created"])
        sys.exit(0)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
stop.set()
for thread in threads: thread.join()
tell(codes=codes)
"""
    ended = run(program, **destination(http_receiver))  # type: ignore[arg-type]
    assert ended.code == 0, ended.stderr
    assert ended.fact("codes") == [0] * 8
    found = bodies(http_receiver)
    assert set(found.values()) == {1}
    assert sum(body.startswith("child") for body in found) == 160


def test_a_killed_process_loses_what_waits_alone(http_receiver: Receiver) -> None:
    program = """
log.info("flushed")
provider.force_flush()
log.info("waits")
tell(ready=True)
time.sleep(60)
"""
    with TracedProgram(program, **destination(http_receiver)) as running:  # type: ignore[arg-type]
        running.wait_for("ready")
        running.process.kill()
    assert bodies(http_receiver) == {"flushed": 1}
