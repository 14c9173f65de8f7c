"""A pytest plugin: the session fails unless it tests the native classes from its start to its end.

``--least-native-spans`` and ``--least-native-meters`` are the minimum numbers that the session must create.
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
    "opentelemetry.sdk._logs": ("LoggerProvider", "Logger", "LoggingHandler", "SynchronousMultiLogRecordProcessor"),
    "opentelemetry.sdk._logs.export": ("BatchLogRecordProcessor", "SimpleLogRecordProcessor"),
    "opentelemetry.sdk._configuration": (
        "TracerProvider",
        "BatchSpanProcessor",
        "MeterProvider",
        "LoggerProvider",
        "BatchLogRecordProcessor",
        "LoggingHandler",
    ),
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
    for things in ("spans", "meters"):
        parser.addoption(f"--least-native-{things}", type=int, default=0, metavar="NUMBER")


def pytest_configure(config: pytest.Config) -> None:
    least = {things: config.getoption(f"least_native_{things}") for things in ("spans", "meters")}
    config.pluginmanager.register(Guard(least), "conformance-guard")


class Guard:
    def __init__(self, least: dict[str, int]) -> None:
        self._least = least
        self._counts: dict[str, NativeCount] = {}
        self._made: dict[str, int] = {}
        self._modules: set[Any] = set()

    def pytest_sessionstart(self) -> None:
        if faults := stock_names() + stock_methods():
            pytest.exit("not under test: " + "; ".join(faults), returncode=pytest.ExitCode.USAGE_ERROR)
        self._counts = {"spans": count_spans(), "meters": count_meters()}

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        self._modules.add(item.getparent(pytest.Module).obj)

    # Runs last, so that the suite itself cannot restore the names before.
    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._faults = stock_names() + stock_methods() + stock_imports(self._modules)
        self._made = {things: count.total() for things, count in self._counts.items()}
        for things, made in self._made.items():
            if made < self._least[things]:
                self._faults.append(f"{made} native {things} were made, at least {self._least[things]} are expected")
        if self._faults:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for fault in self._faults:
            terminalreporter.write_line(f"not under test: {fault}", red=True)
        native = sys.modules["otel_rs._native"]
        made = ", ".join(f"{number} native {things}" for things, number in self._made.items())
        terminalreporter.write_line(f"under test: {made} of {native.__file__}, over opentelemetry-sdk {_sdk_version()}")


class NativeCount:
    """Counts the objects of a native class of this process: the destroyed ones by a finalizer on their class, and the
    living ones. It wraps no call of a test, and cannot count a stock object by mistake, because that has another
    class."""

    def __init__(self, kind: type, native: type) -> None:
        if not issubclass(kind, native):
            raise TypeError(f"{kind} is not native")
        self._kind = kind
        self._gone = 0
        numbers = itertools.count(1)

        def finalize(_object: Any) -> None:
            self._gone = next(numbers)

        kind.__del__ = finalize

    def total(self) -> int:
        return self._gone + sum(type(thing) is self._kind for thing in gc.get_objects())


def count_spans() -> NativeCount:
    from otel_rs import _native, trace

    return NativeCount(trace.Span, _native.Span)


def count_meters() -> NativeCount:
    from otel_rs import metrics

    return NativeCount(metrics.Meter, metrics.Meter)


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
