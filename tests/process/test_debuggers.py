"""Spans work while tracing tools, profilers, memory tracers and fault handlers are active, and these see no errors."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ..support.interpreter import has_c_allocator
from ..support.receiver import Receiver, wait_until
from ..support.relay import Relay
from ..support.traced_program import Ended, TracedProgram, destination, names, run

# Spans in several threads that use native code, Python code called from it, and exceptions.
WORK = """
import logging
import pathlib
from opentelemetry.sdk.trace import SpanProcessor

class Own(SpanProcessor):
    def on_start(self, span, parent_context=None):
        span.set_attribute("started", True)
    def on_end(self, span):
        span.name, span.attributes, span.events

class Text(Exception):
    def __str__(self):
        return "text"

processor = batching(max_export_batch_size=50)
provider = provider_of(processor, Own())
tracer = provider.get_tracer("test")

def work(rounds=30):
    for _ in range(rounds):
        with tracer.start_as_current_span("work", attributes={"list": [1, "a"], "mapping": {"b": [2]}}) as span:
            span.add_event("event", {"c": 1.5})
            assert trace.get_current_span() is span
            try:
                with tracer.start_as_current_span("failed"):
                    raise Text("on purpose")
            except Text:
                pass
    return rounds

def work_in_threads():
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    assert provider.force_flush()
"""

WORK_ENDED = {"work": 90, "failed": 90}


def run_quietly(receiver: Receiver, program: str, **arguments: object) -> Ended:
    """Runs `program` after the definitions above; asserts that it succeeds and prints no errors."""
    ended = run(WORK + program, **destination(receiver), **arguments)
    assert (ended.code, ended.stderr) == (0, "")
    return ended


# --- Callbacks that make spans ---------------------------------------------------------------------------------------

# The flag prevents recursion: a callback does nothing while the same thread is already in it.
TOOL = """
calls = 0
busy = threading.local()
makes_current = True

def tool(*_):
    global calls
    if getattr(busy, "now", False):
        return tool
    busy.now = True
    try:
        if (calls := calls + 1) % 10 == 0:
            if makes_current:
                with tracer.start_as_current_span("tool", attributes={"list": [1]}):
                    pass
            else:
                tracer.start_span("tool", attributes={"list": [1]}).end()
            trace.get_current_span().set_attribute("tool", calls)
    finally:
        busy.now = False
    return tool
"""

TOOLS = {
    "settrace": "threading.settrace(tool); sys.settrace(tool)",
    "setprofile": "threading.setprofile(tool); sys.setprofile(tool)",
    # CPython before 3.12 collects garbage inside `ContextVar.set`, which another `set` on the same thread would break.
    "gc callbacks": """
makes_current = sys.version_info >= (3, 12)
gc.callbacks.append(tool)
gc.set_threshold(5)
""",
    "monitoring": """
events = sys.monitoring.events
sys.monitoring.use_tool_id(4, "test")
for event in (events.PY_START, events.PY_RETURN, events.LINE, events.CALL, events.RAISE):
    sys.monitoring.register_callback(4, event, tool)
sys.monitoring.set_events(4, events.PY_START | events.PY_RETURN | events.LINE | events.CALL | events.RAISE)
""",
}
OFF = """
sys.settrace(None); sys.setprofile(None); threading.settrace(None); threading.setprofile(None); gc.callbacks.clear()
if sys.version_info >= (3, 12) and sys.monitoring.get_tool(4):
    sys.monitoring.set_events(4, 0)
"""


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_may_create_spans_wherever_it_is_called(http_receiver: Receiver, tool: str) -> None:
    if tool == "monitoring" and sys.version_info < (3, 12):
        pytest.skip("Python has it from 3.12 on")
    program = f"""
{TOOLS[tool]}
work_in_threads()
{OFF}
tell(calls=calls)
provider.shutdown()
tell(counts=processor.counts())
"""
    ended = run_quietly(http_receiver, TOOL + program)
    counts, arrived = ended.fact("counts"), names(http_receiver)
    assert ended.fact("calls") > 100
    assert arrived["tool"] >= 10
    assert {name: arrived[name] for name in WORK_ENDED} == WORK_ENDED
    assert counts["created"] == counts["exported"] == len(http_receiver.spans())


# --- Tools of the standard library -----------------------------------------------------------------------------------


def test_profilers_and_the_memory_tracer_see_our_calls(http_receiver: Receiver) -> None:
    program = """
import cProfile, pstats, tracemalloc

profile = cProfile.Profile()
profile.enable()
work()
profile.disable()
calls = {name: count for (_, _, name), (_, count, *_) in pstats.Stats(profile).stats.items()}
tell(calls={name: count for name, count in calls.items() if "otel_rs" in name or name in ("work", "on_end")})

tracemalloc.start(25)
work_in_threads()
before = tracemalloc.take_snapshot()
for _ in range(5):
    work_in_threads()
gc.collect()
after = tracemalloc.take_snapshot()
# Tracing stops while spans live that were made under it.
live = [tracer.start_span("live", attributes={"mapping": {"a": [1]}}) for _ in range(10)]
tracemalloc.stop()
for span in live:
    span.end()
tell(traced=sum(statistic.size for statistic in before.statistics("filename")))
tell(grown=sum(statistic.size_diff for statistic in after.compare_to(before, "filename")))
"""
    ended = run_quietly(http_receiver, program)
    calls = ended.fact("calls")
    assert calls["work"] == 1
    assert calls["on_end"] == 60
    assert ended.fact("traced") > 0
    # This includes the snapshot itself.
    assert ended.fact("grown") < 500_000
    assert names(http_receiver) == {"work": 30 + 6 * 90, "failed": 30 + 6 * 90, "live": 10}


def test_the_fault_handler_reports_nothing(receiver: Receiver, tmp_path: Path) -> None:
    """It is active during exports and at exit; during work and waits it dumps the frames of every thread.

    The test does not use `dump_traceback_later` while Python code runs: CPython 3.11 then reads frames without the GIL
    and crashes, with or without OpenTelemetry.
    """
    dump = tmp_path / "dump"
    program = f"""
import faulthandler
assert faulthandler.is_enabled()
file = open({str(dump)!r}, "w")
class Dumping(SpanProcessor):
    def on_end(self, span):
        if span.name == "dump":
            faulthandler.dump_traceback(file)
provider.add_span_processor(Dumping())
stop = threading.Event()
def dump():
    while not stop.wait(0.001):
        end_spans(provider, "dump")
        dumps.append(1)
rounds, dumps = 0, []
dumping = threading.Thread(target=dump)
dumping.start()
while len(dumps) < 20:
    work_in_threads()
    rounds += 1
stop.set()
dumping.join()
tell(rounds=rounds, dumped=len(dumps))
file.write("While we wait\\n")
file.flush()
faulthandler.dump_traceback_later(0.1, file=file)
tell(waiting=1)
end_spans(provider, "waits")
before = os.path.getsize(file.name)
while os.path.getsize(file.name) == before:
    provider.force_flush(300)
    end_spans(provider, "waits")
faulthandler.cancel_dump_traceback_later()
file.close()
"""
    with Relay(receiver) as relay:
        options = {"options": ("-X", "faulthandler"), **destination(relay.endpoint, relay.protocol)}
        with TracedProgram(WORK + program, **options) as running:
            running.wait_for("dumped")
            relay.answers.clear()
            wait_until(lambda: "Timeout (" in dump.read_text(), "the wait is dumped")
            relay.answers.set()
            ended = running.end()
    assert (ended.code, ended.stderr) == (0, "")
    arrived = names(receiver)
    assert [arrived[name] for name in WORK_ENDED] == [90 * ended.fact("rounds")] * 2
    assert arrived["dump"] == ended.fact("dumped")
    at_work, waiting = dump.read_text().split("While we wait\n")
    # CPython 3.14 breaks a dump off at a thread that ends meanwhile.
    assert at_work.count("in on_end") + at_work.count("<freed thread state>") >= arrived["dump"]
    assert "in force_flush" in waiting
    assert "Fatal" not in at_work + waiting


DEBUGGING = {
    "PYTHONMALLOC=debug": {"PYTHONMALLOC": "debug"},
    # Warnings, memory checks and the fault handler are active.
    "PYTHONDEVMODE": {"PYTHONDEVMODE": "1"},
    "PYTHONMALLOC=malloc": {"PYTHONMALLOC": "malloc_debug", "MALLOC_PERTURB_": "165"},
}


@pytest.mark.parametrize(
    "environment",
    [pytest.param(DEBUGGING[name], id=name, marks=has_c_allocator if "=malloc" in name else ()) for name in DEBUGGING],
)
def test_memory_checks_find_nothing(receiver: Receiver, environment: dict[str, str]) -> None:
    program = """
work_in_threads()
kept = tracer.start_span("open")
end_spans(provider, "at exit", 10)
"""
    run_quietly(receiver, program, **environment)
    assert names(receiver) == {**WORK_ENDED, "at exit": 10}


# --- A debugger's thread ---------------------------------------------------------------------------------------------


def test_a_debugger_thread_may_inspect_everything(http_receiver: Receiver) -> None:
    """It reads the frames of running threads and shows the variables in them."""
    program = """
sys.setswitchinterval(1e-4)
going_on, looks = True, 0

def look():
    global looks
    me = threading.get_ident()
    while going_on:
        for thread, frame in sys._current_frames().items():
            while thread != me and frame:
                for value in list(frame.f_locals.values()):
                    # Frames may hold objects that are not fully initialized.
                    if type(value).__name__ == "Span":
                        repr(value), value.is_recording(), getattr(value, "attributes", None), dir(value)
                        value.to_json() if hasattr(value, "to_json") else None
                        looks += 1
                frame = frame.f_back
        time.sleep(0)

debugger = threading.Thread(target=look)
debugger.start()
until, rounds = time.monotonic() + 20, 0
while looks < 100 and time.monotonic() < until:
    work_in_threads()
    rounds += 1
tell(rounds=rounds, looks=looks)
going_on = False
debugger.join()
"""
    ended = run_quietly(http_receiver, program)
    rounds = ended.fact("rounds")
    assert ended.fact("looks") >= 100
    assert names(http_receiver) == {name: count * rounds for name, count in WORK_ENDED.items()}


BREAKPOINT = """
import bdb

class Debugger(bdb.Bdb):
    # Steps over every line, and shows the variables, as an editor does.
    stops = 0
    def user_line(self, frame):
        Debugger.stops += 1
        for value in list(frame.f_locals.values()):
            if type(value).__name__ in ("Span", "dict", "Text"):
                repr(value), getattr(value, "attributes", None)
        self.set_step()

Debugger().runcall(work, 5)
tell(stops=Debugger.stops)
provider.force_flush()
"""


def test_stepping_through_spans(http_receiver: Receiver) -> None:
    ended = run_quietly(http_receiver, BREAKPOINT)
    assert ended.fact("stops") > 50
    assert names(http_receiver) == {"work": 5, "failed": 5}


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="asks the system for the program's threads")
def test_tools_do_not_see_the_export_thread(http_receiver: Receiver) -> None:
    """It is not a Python thread, so tools that run in every thread do not run in it."""
    program = """
seen = set()
def note(*_):
    seen.add(threading.get_native_id())
threading.setprofile(note)
sys.setprofile(note)
work_in_threads()
sys.setprofile(None)
tasks = {int(task.name): (task / "comm").read_text() for task in pathlib.Path("/proc/self/task").iterdir()}
ours = {task for task, name in tasks.items() if name.startswith("otel-rs")}
tell(ours=len(ours), seen=len(seen), both=len(ours & seen), known=len(threading.enumerate()))
"""
    ended = run_quietly(http_receiver, program)
    assert ended.fact("ours") >= 1
    assert ended.fact("seen") >= 2
    assert (ended.fact("both"), ended.fact("known")) == (0, 1)
