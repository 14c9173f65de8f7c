"""A distro of another vendor, whose configurator runs on native classes with ``OTEL_PYTHON_CONFIGURATOR=rs``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .test_distro import INSTRUMENT, QUIET

VENDOR = """
import os

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.distro import BaseDistro
from opentelemetry.sdk._configuration import _OTelSDKConfigurator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased


class Marker(SpanProcessor):
    def on_start(self, span, parent_context=None):
        span.set_attribute("vendor.marked", True)


class Distro(BaseDistro):
    def _configure(self, **kwargs):
        os.environ.setdefault("OTEL_TRACES_EXPORTER", "otlp")
        os.environ.setdefault("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")


def make():
    return Distro()


class Configurator(_OTelSDKConfigurator):
    # As a vendor does it that changes the SDK's configurator ...
    def _configure(self, **kwargs):
        if "VENDOR_FAILS" in os.environ:
            raise RuntimeError("no licence")
        super()._configure(
            sampler=TraceIdRatioBased(0.75),
            resource_attributes={"vendor.name": "acme"},
            exporter_args_map={OTLPSpanExporter: {"headers": {"vendor": "yes"}}},
            **kwargs,
        )
        trace.get_tracer_provider().add_span_processor(Marker())


class OwnConfigurator:
    # ... and as one does it that needs nothing of it.
    def configure(self, **kwargs):
        provider = TracerProvider(sampler=TraceIdRatioBased(0.75), resource=Resource({"vendor.name": "acme"}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(headers={"vendor": "yes"})))
        provider.add_span_processor(Marker())
        trace.set_tracer_provider(provider)
"""

FACTS = """
import json, sys
from opentelemetry import trace

def name(value):
    return f"{type(value).__module__.partition('.')[0]}.{type(value).__qualname__}"

provider = trace.get_tracer_provider()
processors = getattr(getattr(provider, "_active_span_processor", None), "_span_processors", ())
span = trace.get_tracer("test").start_span("span")
facts = {
    "provider": name(provider),
    "processors": [name(processor) for processor in processors],
    "sampler": getattr(provider, "sampler", None) and provider.sampler.get_description(),
    "vendor": getattr(provider, "resource", None) and provider.resource.attributes.get("vendor.name"),
    "marked": bool((getattr(span, "attributes", None) or {}).get("vendor.marked")) or not span.is_recording(),
}
with open(sys.argv[1], "w") as file:
    json.dump(facts, file)
"""

EXPECTED = {"sampler": "TraceIdRatioBased{0.75}", "vendor": "acme", "marked": True}


def run(
    folder: Path, configurator: str = "Configurator", distro: str = "Distro", **environment: str
) -> tuple[dict[str, Any], str]:
    """The facts that the program finds under opentelemetry-instrument with the vendor's package, and its lines."""
    information = folder / "vendor-1.dist-info"
    information.mkdir(exist_ok=True)
    (folder / "vendor.py").write_text(VENDOR)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: vendor\nVersion: 1\n")
    (information / "entry_points.txt").write_text(
        f"[opentelemetry_distro]\nvendor = vendor:{distro}\n"
        f"[opentelemetry_configurator]\nvendor = vendor:{configurator}\n"
    )
    (folder / "program.py").write_text(FACTS)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
    variables = {"PYTHONPATH": str(folder), "OTEL_PYTHON_DISTRO": "vendor", **QUIET, **environment}
    done = subprocess.run(
        [sys.executable, "-c", INSTRUMENT, sys.executable, folder / "program.py", folder / "facts.json"],
        env={**inherited, **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "facts.json").read_text()), done.stderr


@pytest.mark.parametrize("configurator", ["Configurator", "OwnConfigurator"])
def test_what_the_vendor_configures_stays_and_becomes_native(tmp_path: Path, configurator: str) -> None:
    stock, _ = run(tmp_path, configurator, OTEL_PYTHON_CONFIGURATOR="vendor")
    ours, lines = run(tmp_path, configurator, OTEL_PYTHON_CONFIGURATOR="rs")
    batch, marker = "BatchSpanProcessor", "vendor.Marker"
    assert stock == {
        **EXPECTED,
        "provider": "opentelemetry.TracerProvider",
        "processors": [f"opentelemetry.{batch}", marker],
    }
    assert ours == {**EXPECTED, "provider": "otel_rs.TracerProvider", "processors": [f"otel_rs.{batch}", marker]}
    # The loader's own, before any code of ours has run.
    assert lines.count("Configuration of vendor not loaded because rs is set by OTEL_PYTHON_CONFIGURATOR") == 1


def test_a_function_that_makes_the_distro(tmp_path: Path) -> None:
    facts, _ = run(tmp_path, distro="make", OTEL_PYTHON_CONFIGURATOR="rs")
    assert (facts["provider"], facts["vendor"]) == ("otel_rs.TracerProvider", "acme")


def test_a_vendors_configurator_that_fails_costs_one_line(tmp_path: Path) -> None:
    facts, lines = run(tmp_path, OTEL_PYTHON_CONFIGURATOR="rs", VENDOR_FAILS="1")
    assert facts["processors"] == []
    failed = [line for line in lines.splitlines() if "no licence" in line]
    what = "The configurator vendor (vendor:Configurator) failed; what it had not set up by then is missing"
    assert failed == [f"{what}: no licence"]
    assert "Traceback" not in lines


def test_the_distro_alone_stays_the_vendors(tmp_path: Path) -> None:
    facts, _ = run(tmp_path)
    assert facts["provider"] == "opentelemetry.TracerProvider"
