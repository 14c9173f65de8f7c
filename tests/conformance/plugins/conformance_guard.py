"""A pytest plugin: the session fails unless it tests the native classes from its start to its end.

``--least-native-spans`` is the minimum number of native spans that the session must create.
"""

from __future__ import annotations

import gc
import itertools
import sys
from importlib import import_module
from types import MethodDescriptorType
from typing import Any

import pytest
from opentelemetry.util._importlib_metadata import PackageNotFoundError, version

TRACE = "opentelemetry.sdk.trace"
NATIVE = {
    TRACE: ("TracerProvider", "Tracer", "Span", "SynchronousMultiSpanProcessor"),
    f"{TRACE}.export": ("BatchSpanProcessor", "SimpleSpanProcessor"),
    "opentelemetry.sdk.metrics": ("MeterProvider", "Meter"),
    "opentelemetry.sdk._configuration": ("TracerProvider", "BatchSpanProcessor", "MeterProvider"),
    "opentelemetry.exporter.otlp.proto.grpc.trace_exporter": ("OTLPSpanExporter",),
    "opentelemetry.exporter.otlp.proto.grpc.metric_exporter": ("OTLPMetricExporter",),
    "opentelemetry.exporter.otlp.proto.grpc._log_exporter": ("OTLPLogExporter",),
    "opentelemetry.exporter.otlp.proto.http.trace_exporter": ("OTLPSpanExporter",),
    "opentelemetry.exporter.otlp.proto.http.metric_exporter": ("OTLPMetricExporter",),
    "opentelemetry.exporter.otlp.proto.http._log_exporter": ("OTLPLogExporter",),
}

# By class: native methods in a class of the API.
NATIVE_METHODS = {
    "opentelemetry.trace.propagation.tracecontext": "TraceContextTextMapPropagator",
    "opentelemetry.baggage.propagation": "W3CBaggagePropagator",
    "opentelemetry.propagators.composite": "CompositePropagator",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--least-native-spans", type=int, required=True, metavar="NUMBER")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Guard(config.getoption("least_native_spans")), "conformance-guard")


class Guard:
    def __init__(self, least_spans: int) -> None:
        self._least_spans = least_spans
        self._spans = NativeSpanCount()
        self._modules: set[Any] = set()

    def pytest_sessionstart(self) -> None:
        if faults := stock_names() + stock_methods():
            pytest.exit("not under test: " + "; ".join(faults), returncode=pytest.ExitCode.USAGE_ERROR)
        self._spans.start()

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        self._modules.add(item.getparent(pytest.Module).obj)

    # Runs last, so that the suite itself cannot restore the names before.
    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._faults = stock_names() + stock_methods() + stock_imports(self._modules)
        self._made = self._spans.total()
        if self._made < self._least_spans:
            self._faults.append(f"{self._made} native spans were made, at least {self._least_spans} are expected")
        if self._faults:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for fault in self._faults:
            terminalreporter.write_line(f"not under test: {fault}", red=True)
        native = sys.modules["otel_rs._native"]
        terminalreporter.write_line(
            f"under test: {self._made} native spans of {native.__file__}, over opentelemetry-sdk {_sdk_version()}"
        )


class NativeSpanCount:
    """Counts the native spans of this process: the destroyed ones by a finalizer on their class, and the living ones.
    It wraps no call of a test, and cannot count a stock span by mistake, because that has another class."""

    def __init__(self) -> None:
        self._gone = 0

    def start(self) -> None:
        from otel_rs import _native, trace

        if not issubclass(trace.Span, _native.Span):
            raise TypeError("otel_rs.trace.Span is not native")
        numbers = itertools.count(1)

        def finalize(_span: Any) -> None:
            self._gone = next(numbers)

        trace.Span.__del__ = finalize

    def total(self) -> int:
        from otel_rs import trace

        return self._gone + sum(type(thing) is trace.Span for thing in gc.get_objects())


def stock_names() -> list[str]:
    """The names that do not refer to a class of otel-rs."""
    return [
        f"{module}.{name} is {found.__module__}.{found.__qualname__}"
        for module, names in NATIVE.items()
        for name in names
        if not (found := getattr(import_module(module), name)).__module__.startswith("otel_rs.")
    ]


def stock_methods() -> list[str]:
    """The methods of propagators that are not native."""
    return [
        f"{module}.{name}.{method} is upstream's"
        for module, name in NATIVE_METHODS.items()
        for method in ("extract", "inject")
        if not isinstance(getattr(getattr(import_module(module), name), method), MethodDescriptorType)
    ]


def stock_imports(modules: set[Any]) -> list[str]:
    """The names in test modules for a stock class that has a native version: imported too early, or restored."""
    stock = {
        base
        for module, names in NATIVE.items()
        for name in names
        for base in getattr(import_module(module), name).__mro__
        if base.__name__ == name and base.__module__.startswith("opentelemetry.sdk.")
    }
    return [
        f"{module.__name__}.{name} is {value.__module__}.{value.__qualname__}"
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and value in stock
    ]


def _sdk_version() -> str:
    try:
        return version("opentelemetry-sdk")
    except PackageNotFoundError:
        return "(of an unknown version)"
