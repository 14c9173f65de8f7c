"""Upstream's modules of the OTLP exporters in environments without their packages."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from ..support.environment import environment
from ..support.program import run

PROTO = "opentelemetry.exporter.otlp.proto"
EXPORTERS = {
    f"{PROTO}.{protocol}.{module}": name
    for protocol in ("grpc", "http")
    for module, name in (
        ("trace_exporter", "OTLPSpanExporter"),
        ("metric_exporter", "OTLPMetricExporter"),
        ("_log_exporter", "OTLPLogExporter"),
    )
}


@pytest.fixture
def run_alone(only_otel_rs: Path) -> Callable[..., Any]:
    """`run_alone(program)` runs it where none of upstream's exporters is installed."""
    return lambda program, **variables: run(program, only_otel_rs, "-W", "error", **variables)


# --- What there is ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("take", ["from {module} import {name}", "import {module}\n{name} = {module}.{name}"])
def test_the_exporters_can_be_imported_by_upstreams_names(run_alone: Any, take: str) -> None:
    imports = [
        f"""
{take.format(module=module, name=name)}
assert {name} is ours.{module.split(".")[4]}.{name}
"""
        for module, name in EXPORTERS.items()
    ]
    run_alone(f"""
import otel_rs
otel_rs.install()
import otel_rs.exporter.otlp.grpc, otel_rs.exporter.otlp.http
ours = otel_rs.exporter.otlp
{"".join(imports)}
assert loaded() == []
""")


def test_other_public_names_are_as_upstreams(run_alone: Any) -> None:
    modules = [f"{PROTO}.http", *(module for module in EXPORTERS if ".http." in module)]
    found = json.loads(
        run_alone(f"""
            import otel_rs, json
            from importlib import import_module
            otel_rs.install()
            def shown(value):
                return value if isinstance(value, (str, int)) else [value.name, value.value]
            print(json.dumps({{
                module: {{
                    name: shown(value) for name, value in vars(import_module(module)).items()
                    if name.isupper() and not name.startswith("_")
                }} | {{"Compression": [shown(import_module(module).Compression[name]) for name in
                    ("NoCompression", "Deflate", "Gzip")]}}
                for module in {modules}
            }}))
        """).stdout
    )
    for module in modules:
        stock = import_module(module)
        for name, value in found[module].items():
            if name == "Compression":
                assert value == [[member.name, member.value] for member in stock.Compression]
            else:
                expected = getattr(stock, name)
                assert value == (expected if isinstance(expected, (str, int)) else [expected.name, expected.value])
        defaults = {name for name in vars(stock) if name.startswith("DEFAULT_")}
        assert defaults <= found[module].keys()


def test_a_program_written_for_the_stock_exporters_delivers(run_alone: Any, receiver: Any) -> None:
    run_alone(
        f"""
        import otel_rs
        otel_rs.install()
        from {PROTO}.{receiver.protocol}.trace_exporter import Compression, OTLPSpanExporter
        from {PROTO}.{receiver.protocol}.metric_exporter import OTLPMetricExporter
        from {PROTO}.{receiver.protocol}._log_exporter import OTLPLogExporter
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(compression=Compression.Gzip)))
        provider.get_tracer("t").start_span("span").end()
        meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(compression=Compression.Gzip))])
        meters.get_meter("m").create_counter("counter").add(1)
        loggers = LoggerProvider()
        loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
        loggers.get_logger("l").emit(body="logged")
        assert loaded() == []
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.base,
    )
    assert [span.name for span in receiver.spans()] == ["span"]
    assert [metric.name for metric in receiver.metrics()] == ["counter"]
    assert [record.body.string_value for record in receiver.log_records()] == ["logged"]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_name_that_upstream_alone_has_says_what_to_install(run_alone: Any, protocol: str) -> None:
    package = f"{PROTO}.{protocol}"
    run_alone(f"""
        import otel_rs
        otel_rs.install()
        for take in (
            "from {package}.trace_exporter import encode_spans",
            "from {package} import exporter",
            "import {package}.version",
            "from {package}.trace_exporter import encoder",
            "import {package}.trace_exporter.encoder",
        ):
            try:
                exec(take)
            except ImportError as error:
                assert "install {package.replace(".", "-")}" in str(error), error
                assert error.name == "{package}"
            else:
                raise AssertionError(take)
    """)


def test_an_attribute_that_upstream_alone_has_says_what_to_install(run_alone: Any) -> None:
    run_alone(f"""
        import otel_rs
        otel_rs.install()
        import {PROTO}.http.trace_exporter as module
        try:
            module.encode_spans
        except AttributeError as error:
            assert "install opentelemetry-exporter-otlp-proto-http" in str(error), error
        else:
            raise AssertionError
        assert not hasattr(module, "encode_spans") and not hasattr(module, "__wrapped__")
    """)


def test_a_star_import(run_alone: Any) -> None:
    run_alone(f"""
        import otel_rs
        otel_rs.install()
        from {PROTO}.http.trace_exporter import *
        assert native(OTLPSpanExporter) and Compression.Gzip and DEFAULT_TIMEOUT == 10
    """)


def test_a_reloaded_module_has_the_same_names(run_alone: Any) -> None:
    run_alone(f"""
        import importlib, otel_rs
        otel_rs.install()
        from {PROTO}.grpc import trace_exporter
        before = trace_exporter.OTLPSpanExporter
        for name in [name for name in sys.modules if name.startswith("opentelemetry.exporter")]:
            importlib.reload(sys.modules[name])
        assert trace_exporter.OTLPSpanExporter is before
        from {PROTO}.grpc.trace_exporter import OTLPSpanExporter
        assert OTLPSpanExporter is before
    """)


def test_threads_that_import_at_once(run_alone: Any) -> None:
    run_alone(f"""
        import threading, otel_rs
        from importlib import import_module
        otel_rs.install()
        barrier, found = threading.Barrier(12), []
        def work(module, name):
            barrier.wait()
            found.append(native(getattr(import_module(module), name)))
        threads = [threading.Thread(target=work, args=item) for item in list({EXPORTERS}.items()) * 2]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert found == [True] * 12
    """)


# --- When there is one -----------------------------------------------------------------------------------------------

CANNOT_BE_IMPORTED = f"""
def cannot_be_imported():
    assert not [name for name in sys.modules if name.startswith("opentelemetry.exporter")]
    for name in {list(EXPORTERS)}:
        try:
            __import__(name)
        except ModuleNotFoundError as error:
            assert error.name == "opentelemetry.exporter", error
            assert "otel-rs" not in str(error)
        else:
            raise AssertionError(name)
"""


def test_there_are_none_without_install_and_after_uninstall(run_alone: Any) -> None:
    run_alone(
        CANNOT_BE_IMPORTED
        + f"""
import opentelemetry, otel_rs
cannot_be_imported()
for _ in range(2):
    otel_rs.install()
    from {PROTO}.grpc.trace_exporter import OTLPSpanExporter
    assert native(OTLPSpanExporter)
    otel_rs.uninstall()
    cannot_be_imported()
    assert not hasattr(opentelemetry, "exporter")
"""
    )


def test_beside_another_exporter_of_the_namespace(tmp_path: Path) -> None:
    python = environment(tmp_path / "environment", "otel-rs", "opentelemetry-exporter-zipkin-json")
    run(
        f"""
        import otel_rs
        otel_rs.install()
        from {PROTO}.http.trace_exporter import OTLPSpanExporter
        assert native(OTLPSpanExporter)
        from opentelemetry.exporter.zipkin.json import ZipkinExporter
        otel_rs.uninstall()
        from opentelemetry.exporter import zipkin
        import opentelemetry.exporter.zipkin.json as again
        assert again.ZipkinExporter is ZipkinExporter
        assert not any(name.startswith("opentelemetry.exporter.otlp") for name in sys.modules)
        """,
        python,
    )


def test_one_protocol_is_installed_and_stays_upstreams(tmp_path: Path) -> None:
    python = environment(tmp_path / "environment", "otel-rs", "opentelemetry-exporter-otlp-proto-http")
    run(
        f"""
        import otel_rs
        otel_rs.install()
        from {PROTO}.grpc.trace_exporter import OTLPSpanExporter
        assert native(OTLPSpanExporter)
        import {PROTO}.http.trace_exporter as http
        from {PROTO}.http.version import __version__
        assert native(http.OTLPSpanExporter) and http.__file__ and callable(http.encode_spans)
        otel_rs.uninstall()
        assert not native(http.OTLPSpanExporter)
        from {PROTO} import http as again
        assert again.trace_exporter is http
        assert "{PROTO}.grpc" not in sys.modules
        """,
        python,
    )


def test_a_folder_that_is_added_to_the_path_later(run_alone: Any, tmp_path: Path) -> None:
    package = tmp_path / "opentelemetry" / "exporter" / "mine"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("answer = 42\n")
    run_alone(f"""
        import otel_rs
        otel_rs.install()
        from {PROTO}.http.trace_exporter import OTLPSpanExporter
        sys.path.append({str(tmp_path)!r})
        from opentelemetry.exporter.mine import answer
        otel_rs.uninstall()
        import opentelemetry.exporter.mine as again
        assert again.answer == answer == 42
    """)


def test_tools_find_the_modules(run_alone: Any) -> None:
    run_alone(f"""
        import otel_rs, pkgutil
        from importlib.util import find_spec
        otel_rs.install()
        assert find_spec("{PROTO}.grpc.trace_exporter").name == "{PROTO}.grpc.trace_exporter"
        assert find_spec("opentelemetry.exporter.jaeger") is None
        import opentelemetry.exporter
        assert list(pkgutil.iter_modules(opentelemetry.exporter.__path__)) == []
        assert pkgutil.resolve_name("{PROTO}.grpc.trace_exporter:OTLPSpanExporter").__name__ == "OTLPSpanExporter"
    """)
