"""Shared fixtures: a clean environment, receivers, and providers that are shut down after the test."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_rs import BatchSpanProcessor, TracerProvider, settings
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter as GrpcSpanExporter
from otel_rs.exporter.otlp.http import OTLPSpanExporter as HttpSpanExporter

from .support.absent import skip_tests_of_absent_packages
from .support.environment import environment
from .support.receiver import GrpcReceiver, HttpReceiver, Receiver, started

skip_tests_of_absent_packages()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        # The others name certificates to trust.
        if name.startswith(("OTEL_", "GRPC_DEFAULT_", "REQUESTS_CA_", "CURL_CA_", "SSL_CERT_")):
            monkeypatch.delenv(name)
    settings.forget_reports()
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")


@pytest.fixture
def http_receiver() -> Iterator[HttpReceiver]:
    yield from started(HttpReceiver)


@pytest.fixture
def grpc_receiver() -> Iterator[GrpcReceiver]:
    yield from started(GrpcReceiver)


@pytest.fixture(params=["http", "grpc"])
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    """Runs the test once for each protocol."""
    yield from started({"http": HttpReceiver, "grpc": GrpcReceiver}[request.param])


@pytest.fixture(scope="session")
def only_otel_rs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with otel-rs and its requirements, but without stock exporters and distros."""
    python = environment(tmp_path_factory.mktemp("environment"), "otel-rs")
    (site_packages,) = python.parents[1].glob("lib/python3*/site-packages")
    assert not (site_packages / "opentelemetry" / "exporter").exists()
    assert not (site_packages / "grpc").exists()
    return python


@pytest.fixture
def exporter_to() -> Callable[..., Any]:
    """`exporter_to(receiver, ...)` creates a native exporter that sends to the receiver."""

    def make(receiver: Receiver, **arguments: Any) -> Any:
        kind = {"http": HttpSpanExporter, "grpc": GrpcSpanExporter}[receiver.protocol]
        return kind(**{"endpoint": receiver.endpoint, **arguments})

    return make


@pytest.fixture
def provider_to(exporter_to: Callable[..., Any]) -> Iterator[Callable[..., TracerProvider]]:
    """`provider_to(receiver, ...)` creates a native provider that sends to the receiver when it is flushed."""
    providers = []

    def make(receiver: Receiver, processor: dict[str, Any] | None = None, **arguments: Any) -> TracerProvider:
        provider = TracerProvider(**{"shutdown_on_exit": False, "resource": Resource({}), **arguments})
        settings = {"schedule_delay_millis": 3_600_000, "max_queue_size": 200_000, **(processor or {})}
        provider.add_span_processor(BatchSpanProcessor(exporter_to(receiver), **settings))
        providers.append(provider)
        return provider

    yield make
    for provider in providers:
        for processor in provider._active_span_processor._span_processors:
            processor.shutdown(*[100] if isinstance(processor, BatchSpanProcessor) else [])


@pytest.fixture
def memory() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(memory: InMemorySpanExporter) -> Iterator[TracerProvider]:
    """A native provider that exports ended spans to `memory`."""
    provider = TracerProvider(shutdown_on_exit=False, resource=Resource({}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    yield provider
    provider.shutdown()


@pytest.fixture
def tracer(provider: TracerProvider) -> Any:
    return provider.get_tracer("test")


@pytest.fixture(params=[sdk.TracerProvider, TracerProvider], ids=["stock", "native"])
def kind(request: pytest.FixtureRequest) -> type[Any]:
    """The provider class of the stock SDK, then ours: both must behave the same."""
    return request.param


@pytest.fixture
def make_provider_of(kind: type[Any]) -> Iterator[Callable[..., Any]]:
    """`make_provider_of(processor, ..., argument=...)` creates a provider of class `kind`, shut down after the test."""
    made = []

    def make(*processors: Any, **arguments: Any) -> Any:
        provider = kind(**{"shutdown_on_exit": False, "resource": Resource({}), **arguments})
        for processor in processors:
            provider.add_span_processor(processor)
        made.append(provider)
        return provider

    yield make
    for provider in made:
        provider.shutdown()


@pytest.fixture(params=["stock", "native"])
def either(request: pytest.FixtureRequest, provider: Any) -> Any:
    """A tracer of the stock SDK, then one of ours: both must behave the same."""
    if request.param == "native":
        return provider.get_tracer("test")
    return sdk.TracerProvider(shutdown_on_exit=False).get_tracer("test")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Returns the lines logged since the last call, but for those that say once where telemetry goes."""
    caplog.set_level(logging.DEBUG)

    def take() -> list[str]:
        lines = [record.getMessage() for record in caplog.records if record.module != "_announced"]
        caplog.clear()
        return lines

    return take
