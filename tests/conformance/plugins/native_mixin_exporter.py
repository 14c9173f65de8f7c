"""A pytest plugin: test_otlp_exporter_mixin.py tests an exporter that it defines with upstream's mixin; the native
exporter replaces that exporter."""

from __future__ import annotations

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector: pytest.Module, name: str, obj: object):
    if name == "TestOTLPExporterMixin":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        collector.obj.OTLPSpanExporterForTesting = OTLPSpanExporter
    return (yield)
