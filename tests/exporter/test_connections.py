"""What becomes of connections when their exporter or provider is shut down or dropped."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from otel_rs import BatchSpanProcessor, SimpleSpanProcessor, TracerProvider

from ..support.receiver import Receiver, wait_until
from ..support.relay import Relay

pytestmark = pytest.mark.installed


@pytest.fixture
def relay(receiver: Receiver) -> Iterator[Relay]:
    """One that counts the connections to the receiver."""
    with Relay(receiver) as relay:
        yield relay


@pytest.fixture
def used_exporter(relay: Relay, exporter_to: Callable[..., Any]) -> list[Any]:
    """An exporter with an idle connection, in a list that is its only owner."""
    exporter = exporter_to(relay)
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("span")
    span.end()
    exporter.export([span])
    assert (relay.accepted, relay.closed_by_clients) == (1, 0)
    return [exporter]


@pytest.fixture(params=[BatchSpanProcessor, SimpleSpanProcessor])
def used_provider(request: pytest.FixtureRequest, relay: Relay, exporter_to: Callable[..., Any]) -> list[Any]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(request.param(exporter_to(relay)))
    provider.get_tracer("test").start_span("span").end()
    assert provider.force_flush()
    assert (relay.accepted, relay.closed_by_clients) == (1, 0)
    return [provider]


def wait_for_the_end(relay: Relay) -> None:
    wait_until(lambda: relay.closed_by_clients == relay.accepted, "the client closes its connections")


def test_an_exporter_that_is_shut_down_closes_its_connection(used_exporter: list[Any], relay: Relay) -> None:
    used_exporter[0].shutdown()
    wait_for_the_end(relay)


def test_an_exporter_that_is_dropped_closes_its_connection(used_exporter: list[Any], relay: Relay) -> None:
    used_exporter.clear()
    gc.collect()
    wait_for_the_end(relay)


def test_a_provider_that_is_shut_down_closes_its_connection(used_provider: list[Any], relay: Relay) -> None:
    used_provider[0].shutdown()
    wait_for_the_end(relay)


def test_a_provider_that_is_dropped_closes_its_connection(used_provider: list[Any], relay: Relay) -> None:
    used_provider.clear()
    gc.collect()
    wait_for_the_end(relay)


def test_an_export_under_way_at_the_shutdown_is_the_last_of_its_connection(
    receiver: Receiver, relay: Relay, exporter_to: Callable[..., Any]
) -> None:
    relay.answers.clear()
    exporter = exporter_to(relay)
    processor = BatchSpanProcessor(exporter, schedule_delay_millis=1)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    provider.get_tracer("test").start_span("span").end()
    receiver.wait_for_spans(1)
    exporter.shutdown()
    assert relay.closed_by_clients == 0
    relay.answers.set()
    wait_for_the_end(relay)
    provider.shutdown()
    assert processor.counts()["exported"] == 1
