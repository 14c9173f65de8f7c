"""`install` and `uninstall`: what they replace, when, and what they do not change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ..support.program import run

GRPC = "opentelemetry.exporter.otlp.proto.grpc.trace_exporter"
HTTP = "opentelemetry.exporter.otlp.proto.http.trace_exporter"

CLASSES = {
    "opentelemetry.sdk.trace": ["TracerProvider", "Tracer", "Span", "SynchronousMultiSpanProcessor"],
    "opentelemetry.sdk.trace.export": ["BatchSpanProcessor", "SimpleSpanProcessor"],
    "opentelemetry.sdk._configuration": ["TracerProvider", "BatchSpanProcessor"],
    "opentelemetry.configuration._tracer_provider": ["TracerProvider", "BatchSpanProcessor", "SimpleSpanProcessor"],
    GRPC: ["OTLPSpanExporter"],
    HTTP: ["OTLPSpanExporter"],
    **{
        f"opentelemetry.exporter.otlp.proto.{protocol}.{module}": [name]
        for protocol in ("grpc", "http")
        for module, name in (("metric_exporter", "OTLPMetricExporter"), ("_log_exporter", "OTLPLogExporter"))
    },
}

# Programs can use these as CLASSES, and can check all of them.
LOOK = f"""
from importlib import import_module
CLASSES = {CLASSES!r}

def all_native():
    '''True if each is native, False if none is.'''
    (answer,) = {{
        native(getattr(import_module(module), name)) for module, names in CLASSES.items() for name in names
    }}
    return answer
"""


# --- What is replaced and restored -----------------------------------------------------------------------------------


@pytest.mark.parametrize("imported", ["before", "after"])
def test_native_under_upstreams_names_until_uninstall(imported: str) -> None:
    run(
        LOOK
        + f"""
if {imported == "before"}:
    assert not all_native()
import otel_rs
for _ in range(3):
    otel_rs.install()
    assert all_native()
    otel_rs.uninstall()
    assert not all_native()
"""
    )


def test_other_names_are_upstreams() -> None:
    run("""
        from opentelemetry.sdk.trace import ReadableSpan, SpanLimits
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter
        import otel_rs
        otel_rs.install()
        from opentelemetry.sdk import trace
        from opentelemetry.sdk.trace import export
        assert (trace.ReadableSpan, trace.SpanLimits) == (ReadableSpan, SpanLimits)
        assert export.ConsoleSpanExporter is ConsoleSpanExporter
    """)


def test_importing_the_package_replaces_nothing() -> None:
    run(LOOK + "import otel_rs, otel_rs.distro\nassert not all_native()")


def test_installing_twice_is_the_same_as_once() -> None:
    run(
        LOOK
        + """
import otel_rs
otel_rs.install()
finders = list(sys.meta_path)
otel_rs.install()
assert sys.meta_path == finders
otel_rs.uninstall()
assert not all_native()
otel_rs.uninstall()
assert not all_native()
"""
    )


def test_uninstall_alone_does_nothing() -> None:
    run(LOOK + "import otel_rs\notel_rs.uninstall()\nassert not all_native()")


def test_a_class_patched_after_install_stays() -> None:
    run("""
        import otel_rs
        from opentelemetry.sdk import trace
        otel_rs.install()
        class Patched(trace.TracerProvider):
            pass
        trace.TracerProvider = Patched
        otel_rs.install()
        assert trace.TracerProvider is Patched
        otel_rs.uninstall()
        assert trace.TracerProvider is Patched
        assert not native(trace.Tracer)
    """)


def test_a_name_imported_while_installed_stays_native() -> None:
    run("""
        import otel_rs
        otel_rs.install()
        from opentelemetry.sdk.trace import TracerProvider
        otel_rs.uninstall()
        assert native(TracerProvider)
        from opentelemetry.sdk.trace import TracerProvider as Stock
        assert isinstance(TracerProvider(shutdown_on_exit=False), Stock)
    """)


def test_a_reloaded_module_is_native_again() -> None:
    run(
        LOOK
        + f"""
import importlib, otel_rs
for imported in ("opentelemetry.sdk._configuration", "{GRPC}"):
    import_module(imported)
otel_rs.install()
for name in CLASSES:
    importlib.reload(import_module(name))
assert all_native()
otel_rs.uninstall()
assert not all_native()
for name in CLASSES:
    importlib.reload(import_module(name))
assert not all_native()
"""
    )


# --- The exporters' modules ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "take",
    [
        "from {module} import OTLPSpanExporter",
        "import {module}\nOTLPSpanExporter = {module}.OTLPSpanExporter",
        "from importlib.metadata import entry_points\n"
        "(entry_point,) = entry_points(group='opentelemetry_traces_exporter', name='{entry_point}')\n"
        "OTLPSpanExporter = entry_point.load()",
    ],
    ids=["from", "import", "entry point"],
)
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_exporters_under_upstreams_names_do_not_import_upstreams_libraries(protocol: str, take: str) -> None:
    module = {"grpc": GRPC, "http": HTTP}[protocol]
    run(f"""
import otel_rs
otel_rs.install()
{take.format(module=module, entry_point=f"otlp_proto_{protocol}")}
from otel_rs.exporter.otlp import {protocol}
assert OTLPSpanExporter is {protocol}.OTLPSpanExporter
assert not hasattr(sys.modules["{module}"], "no_such_name")
assert loaded() == []
""")


def test_an_entry_point_of_the_bundle_is_native() -> None:
    run("""
        import otel_rs
        otel_rs.install()
        from importlib.metadata import entry_points
        (entry_point,) = entry_points(group="opentelemetry_traces_exporter", name="otlp")
        assert native(entry_point.load())
        assert loaded() == []
    """)


def test_the_other_names_of_an_exporter_module_are_loaded_on_demand() -> None:
    run(f"""
        import otel_rs
        otel_rs.install()
        import {GRPC} as grpc_module, {HTTP} as http_module
        from {GRPC} import OTLPSpanExporter, ResourceSpans, encode_spans
        from {HTTP} import DEFAULT_ENDPOINT
        assert ResourceSpans.DESCRIPTOR.name == "ResourceSpans"
        assert DEFAULT_ENDPOINT == "http://localhost:4318/"
        assert native(OTLPSpanExporter)
        assert native(grpc_module.OTLPSpanExporter) and native(http_module.OTLPSpanExporter)
        otel_rs.uninstall()
        assert not native(grpc_module.OTLPSpanExporter) and not native(http_module.OTLPSpanExporter)
        assert grpc_module.encode_spans is encode_spans
    """)


def test_star_import_of_an_exporter_module() -> None:
    run(f"""
        import otel_rs
        otel_rs.install()
        from {GRPC} import *
        assert native(OTLPSpanExporter)
        assert callable(encode_spans)
    """)


def test_a_submodule_of_an_exporter_module_stays_upstreams() -> None:
    run(f"""
        import otel_rs
        otel_rs.install()
        from {HTTP} import encoder
        import {HTTP} as module
        otel_rs.uninstall()
        assert module.encoder is encoder
        assert not native(module.OTLPSpanExporter)
    """)


@pytest.mark.parametrize("name", ["OTLPSpanExporter", "encode_spans"])
@pytest.mark.parametrize("module", [GRPC, HTTP])
def test_mock_patch(module: str, name: str) -> None:
    run(f"""
        import otel_rs
        from unittest import mock
        otel_rs.install()
        with mock.patch("{module}.{name}") as patched:
            import {module} as module
            assert module.{name} is patched
        assert module.{name} is not patched
        assert native(module.OTLPSpanExporter)
        otel_rs.uninstall()
        assert not native(module.OTLPSpanExporter)
    """)


def test_tools_that_read_modules_find_the_source_and_run_nothing() -> None:
    run(
        LOOK
        + f"""
import inspect, pickle, otel_rs
otel_rs.install()
for name in CLASSES:
    module = import_module(name)
    assert module.__spec__.loader is module.__loader__
    assert module.__loader__.get_source(name) == inspect.getsource(module)
import {GRPC} as module
# What has no module of its own is looked for in all of them.
def nowhere(): pass
nowhere.__module__ = None
try:
    pickle.dumps(nowhere)
except (pickle.PicklingError, AttributeError):
    pass
assert pickle.loads(pickle.dumps(module.OTLPSpanExporter)) is module.OTLPSpanExporter
assert "grpc" not in sys.modules
"""
    )


def test_without_grpcio_the_exporter_works_and_other_names_raise_import_errors(grpc_receiver: Any) -> None:
    run(
        f"""
        without("grpc", "google", "requests")
        import otel_rs
        otel_rs.install()
        from {GRPC} import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        import {GRPC} as module
        for _ in range(2):
            try:
                module.encode_spans
            except ModuleNotFoundError as error:
                assert error.name == "grpc", error
            else:
                raise AssertionError
        assert module.OTLPSpanExporter is OTLPSpanExporter
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter("{grpc_receiver.endpoint}")))
        provider.get_tracer("t").start_span("span").end()
        """
    )
    assert [span.name for span in grpc_receiver.spans()] == ["span"]


def test_a_package_whose_import_fails_is_not_replaced_by_ours() -> None:
    run(f"""
        without("nothing")
        import otel_rs
        otel_rs.install()
        class Missing:
            @staticmethod
            def find_spec(name, path=None, target=None):
                if name == "opentelemetry.exporter.otlp.proto.grpc":
                    raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        sys.meta_path.insert(0, Missing)
        try:
            from {GRPC} import OTLPSpanExporter
        except ModuleNotFoundError as error:
            assert error.name == "opentelemetry.exporter.otlp.proto.grpc"
        else:
            raise AssertionError
    """)


# --- Threads ---------------------------------------------------------------------------------------------------------

TOGETHER = """
import threading

def run_in_threads(work, count=32):
    '''Calls `work(number)` in `count` threads at the same moment; returns the results.'''
    barrier, results = threading.Barrier(count), []
    def one(number):
        barrier.wait()
        try:
            results.append(work(number))
        except BaseException as error:
            results.append(error)
    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert len(results) == count
    return results
"""


def test_threads_that_install_at_once_find_everything_installed() -> None:
    run(
        LOOK
        + TOGETHER
        + """
import otel_rs
finders = len(sys.meta_path)
def work(number):
    otel_rs.install()
    return all_native()
assert run_in_threads(work) == [True] * 32
assert len(sys.meta_path) == finders + 1
otel_rs.uninstall()
# The one for reloads of otel-rs stays.
assert len(sys.meta_path) == finders + 1
assert not all_native()
"""
    )


def test_threads_that_import_an_exporter_at_once_get_the_native_one() -> None:
    run(
        TOGETHER
        + f"""
import otel_rs
otel_rs.install()
def work(number):
    if number % 2:
        from {GRPC} import OTLPSpanExporter
        return native(OTLPSpanExporter)
    from {GRPC} import ResourceSpans
    return ResourceSpans.__name__ == "ResourceSpans"
assert run_in_threads(work) == [True] * 32
import {GRPC} as module
assert native(module.OTLPSpanExporter)
"""
    )


def test_installing_and_importing_at_once_ends_native() -> None:
    run(
        LOOK
        + TOGETHER
        + """
import otel_rs
names = list(CLASSES)
def work(number):
    if number % 4 == 0:
        otel_rs.install()
    else:
        import_module(names[number % len(names)])
assert run_in_threads(work) == [None] * 32
assert all_native()
otel_rs.uninstall()
assert not all_native()
"""
    )


def test_installing_and_uninstalling_at_once_ends_in_one_of_the_two() -> None:
    run(
        LOOK
        + TOGETHER
        + f"""
import otel_rs
def work(number):
    for _ in range(20):
        (otel_rs.install, otel_rs.uninstall)[number % 2]()
    if number % 8 == 0:
        from {GRPC} import encode_spans
assert run_in_threads(work) == [None] * 32
assert all_native() in (True, False)
otel_rs.install()
assert all_native()
otel_rs.uninstall()
assert not all_native()
"""
    )


# --- Log lines -------------------------------------------------------------------------------------------------------

LOGGING = """
import logging
logging.basicConfig(level="DEBUG", format="%(name)s %(levelname)s %(message)s", stream=sys.stdout)
"""


def test_one_debug_line_lists_the_replaced_classes() -> None:
    line, told = run(
        LOGGING
        + """
import opentelemetry.sdk._configuration
import otel_rs
otel_rs.install()
otel_rs.install()
"""
    ).stdout.splitlines()
    assert line.startswith("otel_rs DEBUG Replaced ")
    assert told.startswith("otel_rs INFO otel-rs ")
    replaced, on_import, earlier = line.removesuffix(".").split(". ")
    for module in ("opentelemetry.sdk.trace", "opentelemetry.sdk.trace.export", "opentelemetry.sdk._configuration"):
        for name in CLASSES[module]:
            assert f"{module}.{name}" in replaced
    for module in ("opentelemetry.configuration._tracer_provider", GRPC, HTTP):
        assert module in on_import
    assert earlier == "Imported earlier and not native: nothing"


def test_the_debug_line_lists_classes_that_the_program_imported_too_early() -> None:
    line, _ = run(
        LOGGING
        + """
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
import types
sys.modules["shop.settings"] = types.ModuleType("shop.settings")
sys.modules["shop.settings"].Batch = BatchSpanProcessor
import otel_rs
otel_rs.install()
"""
    ).stdout.splitlines()
    assert (
        "Imported earlier and not native: __main__.BatchSpanProcessor, __main__.TracerProvider, shop.settings.Batch."
        in line
    )


@pytest.mark.parametrize("kind", ["opentelemetry.sdk.trace.TracerProvider", "opentelemetry.trace.NoOpTracerProvider"])
def test_a_provider_that_was_set_before_is_logged(kind: str) -> None:
    module, _, name = kind.rpartition(".")
    (line,) = run(f"""
        from opentelemetry import trace
        from {module} import {name} as Kind
        trace.set_tracer_provider(Kind())
        import otel_rs
        otel_rs.install()
        otel_rs.install()
    """).stderr.splitlines()
    assert line.startswith(f"The program set a tracer provider before otel_rs.install(): {kind} stays in use")


def test_nothing_is_logged_without_a_problem() -> None:
    done = run("""
        from opentelemetry import trace
        trace.get_tracer("early")
        import otel_rs
        otel_rs.install()
        otel_rs.uninstall()
        trace.set_tracer_provider(otel_rs.TracerProvider())
        otel_rs.install()
    """)
    assert (done.stdout, done.stderr) == ("", "")


# --- Objects created before install, and mixed objects ---------------------------------------------------------------


def test_a_provider_created_before_install_keeps_working(grpc_receiver: Any) -> None:
    run(f"""
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        provider, memory = TracerProvider(), InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(memory))
        trace.set_tracer_provider(provider)
        early = trace.get_tracer("early")

        import otel_rs
        otel_rs.install()
        from {GRPC} import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter("{grpc_receiver.endpoint}")))
        with early.start_as_current_span("a"), trace.get_tracer("late").start_as_current_span("b"):
            pass
        otel_rs.uninstall()
        with trace.get_tracer("late").start_as_current_span("c"), trace.get_tracer("last").start_as_current_span("d"):
            pass
        provider.force_flush()
        assert [span.name for span in memory.get_finished_spans()] == ["b", "a", "d", "c"]
        assert memory.get_finished_spans()[0].parent == memory.get_finished_spans()[1].context
        assert provider.shutdown() is None
    """)
    spans = {span.name: span for span in grpc_receiver.spans()}
    assert sorted(spans) == ["a", "b", "c", "d"]
    assert spans["b"].parent_span_id == spans["a"].span_id
    assert spans["d"].parent_span_id == spans["c"].span_id


def test_processors_and_exporters_created_before_install_work_in_a_native_provider(http_receiver: Any) -> None:
    run(f"""
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from {HTTP} import OTLPSpanExporter
        stock = BatchSpanProcessor(OTLPSpanExporter("{http_receiver.endpoint}"))
        early = OTLPSpanExporter("{http_receiver.endpoint}")
        import otel_rs
        otel_rs.install()
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        provider = TracerProvider()
        provider.add_span_processor(stock)
        provider.add_span_processor(BatchSpanProcessor(early))
        provider.add_span_processor(BatchSpanProcessor(otel_rs.exporter.otlp.http.OTLPSpanExporter("{http_receiver.endpoint}")))
        provider.get_tracer("t").start_span("span").end()
    """)
    assert [span.name for span in http_receiver.spans()] == ["span"] * 3
    assert len({span.span_id for span in http_receiver.spans()}) == 1


def test_subclasses_that_the_program_defines(http_receiver: Any) -> None:
    run(f"""
        import otel_rs
        otel_rs.install()
        from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from {HTTP} import OTLPSpanExporter
        class Provider(TracerProvider):
            def __init__(self):
                super().__init__(shutdown_on_exit=True)
                self.mine = True
        class Exporter(OTLPSpanExporter):
            def export(self, spans):
                self.names = [span.name for span in spans]
                return super().export(spans)
        class Batch(BatchSpanProcessor):
            def on_start(self, span, parent_context=None):
                span.set_attribute("mine", True)
        exporter, provider = Exporter("{http_receiver.endpoint}"), Provider()
        provider.add_span_processor(Batch(exporter))
        provider.get_tracer("t").start_span("span").end()
        provider.force_flush()
        assert exporter.names == ["span"]
    """)
    (span,) = http_receiver.spans()
    assert span.attributes[0].key == "mine"


# --- Ways to call it -------------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH whose sitecustomize module calls `install`."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import otel_rs\notel_rs.install()\n")
    return folder


def test_from_sitecustomize_a_program_needs_no_change(site: Path, http_receiver: Any) -> None:
    run(
        f"""
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from {HTTP} import OTLPSpanExporter
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        assert native(type(provider))
        provider.get_tracer("t").start_span("span").end()
        assert loaded() == []
        """,
        PYTHONPATH=str(site),
        OTEL_EXPORTER_OTLP_ENDPOINT=http_receiver.base,
    )
    assert [span.name for span in http_receiver.spans()] == ["span"]


def test_the_stock_configurator_creates_native_classes_after_install(grpc_receiver: Any) -> None:
    run(
        """
        import otel_rs
        otel_rs.install()
        import os
        os.environ["OTEL_METRICS_EXPORTER"] = os.environ["OTEL_LOGS_EXPORTER"] = "none"
        from opentelemetry import trace
        from opentelemetry.distro import OpenTelemetryConfigurator, OpenTelemetryDistro
        OpenTelemetryDistro().configure()
        OpenTelemetryConfigurator().configure()
        provider = trace.get_tracer_provider()
        assert native(type(provider))
        (processor,) = provider._active_span_processor._span_processors
        assert native(type(processor)) and native(type(processor.span_exporter))
        trace.get_tracer("t").start_span("span").end()
        assert loaded() == []
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT=grpc_receiver.base,
    )
    assert [span.name for span in grpc_receiver.spans()] == ["span"]
