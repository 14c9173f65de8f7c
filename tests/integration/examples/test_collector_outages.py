"""A tier of examples/collector dies and comes back while programs send: what becomes of each span is counted."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ..otelcol import Collector, attributes_of
from ..program import Program, wait_until
from .tiers import AGENT, GATEWAY, PERSISTENT_AGENT, Tier, Tiers, tiers_in

PROGRAM = Path(__file__).parents[1] / "programs" / "outage.py"
PROTOCOLS = ["grpc", "http/protobuf"]
KEEP_ALL = {"GATEWAY_KEEPS_PERCENT": "100"}
# Spans that each program ends in each of the three parts: before, during and after the outage.
SPANS = 150
# The program writes its counts after this number of spans.
SPANS_BETWEEN_LINES = 50


class Sender:
    """The program that ends numbered spans, and what it says of them."""

    def __init__(self, program: Program, collector: Collector) -> None:
        self.program, self._collector = program, collector
        self._is_stopped = False

    def counts(self) -> dict[str, int]:
        """The last line of counts that it wrote."""
        lines = [line for line in self.program.output().splitlines() if line.startswith("{")]
        return json.loads(lines[-1]) if lines else Counter()

    def wait_for(self, condition: Callable[[dict[str, int]], Any], what: str) -> None:
        wait_until(lambda: condition(self.counts()), lambda: f"{what}: {self.counts()}\n{self.program.output()}")

    def wait_for_more(self, part: str) -> None:
        """Waits until the count of this part has grown by SPANS."""
        enough = self.counts()[part] + SPANS
        self.wait_for(lambda counts: counts[part] >= enough, f"too few {part}")

    def stop(self) -> None:
        """From now on it ends no more spans, and flushes. A second signal might meet the end of its interpreter."""
        if not self._is_stopped:
            self._is_stopped = True
            self.program.process.terminate()

    def finish(self) -> dict[str, int]:
        """Lets it flush and end; returns its counts, which must account for every span."""
        self.stop()
        assert self.program.process.wait(timeout=60) == 0, self.program.output()
        counts = self.counts()
        assert counts["created"] == counts["ended"]
        assert counts["created"] == sum(counts[part] for part in ("exported", "rejected", "failed", "dropped"))
        return counts

    def logged(self) -> list[str]:
        """But for the lines that say where telemetry goes."""
        lines = [line for line in self.program.output().splitlines() if line.startswith("LOG ")]
        return [line for line in lines if not line.startswith("LOG INFO otel_rs: otel-rs ")]

    def arrived(self) -> Counter[int]:
        """How often each number has arrived."""
        return Counter(
            attributes_of(span)["number"]
            for item in self._collector.resource_spans(self.program.run)
            for scope in item["scopeSpans"]
            for span in scope["spans"]
        )

    def wait_for_all(self) -> Counter[int]:
        """Waits until each of its spans has arrived at least once."""
        ended = self.counts()["ended"]
        wait_until(lambda: len(self.arrived()) >= ended, lambda: f"{len(self.arrived())} of {ended} spans arrived")
        arrived = self.arrived()
        assert set(arrived) == set(range(ended))
        return arrived


@pytest.fixture
def tiers(collector: Collector, tmp_path: Path) -> Iterator[Tiers]:
    with tiers_in(tmp_path) as tiers:
        yield tiers


@pytest.fixture
def senders(collector: Collector, start_program: Callable[..., Any]) -> Callable[..., Any]:
    """`with senders(tier, **settings) as both`: a program over gRPC and one over HTTP send to the tier."""

    @contextmanager
    def start(tier: Tier, **settings: str) -> Iterator[list[Sender]]:
        with ExitStack() as stack:
            both = []
            for protocol in PROTOCOLS:
                environment = {
                    "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                    "OTEL_EXPORTER_OTLP_ENDPOINT": tier.endpoint(protocol),
                    "OTEL_EXPORTER_OTLP_TIMEOUT": "60",
                    "OTEL_BSP_EXPORT_TIMEOUT": "60000",
                    "OTEL_BSP_MAX_QUEUE_SIZE": "100000",
                    "OTEL_BSP_SCHEDULE_DELAY": "50",
                    **settings,
                }
                program = stack.enter_context(start_program(sys.executable, PROGRAM, **environment))
                both.append(Sender(program, collector))
            for sender in both:
                sender.wait_for(lambda counts: counts["created"] >= SPANS, "too few spans")
            yield both

    return start


def assert_no_export_was_given_up(counts: dict[str, int]) -> None:
    assert (counts["exported"], counts["failed"], counts["dropped"]) == (counts["created"], 0, 0)


@pytest.mark.parametrize(
    ("configuration", "number"),
    [(PERSISTENT_AGENT, signal.SIGKILL), (PERSISTENT_AGENT, signal.SIGTERM), (AGENT, signal.SIGTERM)],
    ids=["storage, SIGKILL", "storage, SIGTERM", "memory, SIGTERM"],
)
def test_an_agent_that_dies_and_comes_back_loses_nothing(collector, tiers, senders, configuration, number):
    agent = tiers(configuration, collector)
    with senders(agent) as both:
        for sender in both:
            sender.wait_for_more("exported")
        agent.kill(number)
        for sender in both:
            sender.wait_for_more("created")
            sender.wait_for(lambda counts: counts["in_flight"] > 0, "nothing is tried")
        agent.start()
        for sender in both:
            sender.wait_for_more("exported")
        for sender in both:
            assert_no_export_was_given_up(sender.finish())
    for sender in both:
        sender.wait_for_all()


def test_a_gateway_that_stops_and_comes_back_loses_nothing(collector, tiers, senders):
    gateway = tiers(GATEWAY, collector, **KEEP_ALL)
    agent = tiers(AGENT, gateway)
    with senders(agent) as both:
        for sender in both:
            wait_until(lambda sender=sender: len(sender.arrived()) >= SPANS, gateway.log)
        gateway.kill(signal.SIGTERM)
        for sender in both:
            sender.wait_for_more("exported")  # the agent takes them
        gateway.start()
        for sender in both:
            sender.wait_for_more("exported")
        for sender in both:
            assert_no_export_was_given_up(sender.finish())
    for sender in both:
        sender.wait_for_all()


def test_a_gateway_that_is_killed_loses_only_what_it_had_acknowledged(collector, tiers, senders):
    gateway = tiers(GATEWAY, collector, **KEEP_ALL)
    agent = tiers(AGENT, gateway)
    with senders(agent) as both:
        for sender in both:
            wait_until(lambda sender=sender: len(sender.arrived()) >= SPANS, gateway.log)
        gateway.kill(signal.SIGKILL)
        ended_before = [sender.counts()["created"] + SPANS_BETWEEN_LINES for sender in both]
        for sender in both:
            sender.wait_for_more("exported")
        gateway.start()
        for sender in both:
            sender.wait_for_more("exported")
        for sender in both:
            assert_no_export_was_given_up(sender.finish())
    for sender, before in zip(both, ended_before, strict=True):
        later = set(range(before, sender.counts()["ended"]))
        wait_until(lambda sender=sender, later=later: later <= set(sender.arrived()), agent.log)


@pytest.mark.parametrize("configuration", [AGENT, PERSISTENT_AGENT], ids=["memory", "storage"])
def test_storage_keeps_what_a_killed_agent_had_acknowledged(collector, tiers, senders, configuration):
    gateway = tiers(GATEWAY, collector, **KEEP_ALL)
    agent = tiers(configuration, gateway)
    gateway.kill()
    with senders(agent) as both:
        for sender in both:
            sender.wait_for_more("exported")
            assert_no_export_was_given_up(sender.finish())
        agent.kill()
    agent.start()
    gateway.start()
    if configuration is PERSISTENT_AGENT:
        for sender in both:
            sender.wait_for_all()
    else:
        agent.kill(signal.SIGTERM)
        gateway.kill(signal.SIGTERM)
        collector.write_all()
        assert not any(sender.arrived() for sender in both)


@pytest.mark.parametrize("through_an_agent", [False, True], ids=["from the program", "from an agent"])
def test_data_that_a_memory_limiter_refuses_are_sent_again(collector, tiers, senders, through_an_agent):
    no_memory = {"GATEWAY_MEMORY_MIB": "2", "GATEWAY_SPIKE_MIB": "1"}
    gateway = tiers(GATEWAY, collector, **no_memory, **KEEP_ALL)
    wait_until(lambda: "Refusing data" in gateway.log(), gateway.log)
    agent = tiers(AGENT, gateway) if through_an_agent else None
    with senders(agent or gateway) as both:
        for sender in both:
            sender.wait_for_more("created")
            if not agent:
                sender.wait_for(lambda counts: counts["in_flight"] > 0, "nothing is tried")
                assert sender.counts()["exported"] == 0
        if agent:
            wait_until(lambda: "data refused due to high memory usage" in agent.log(), agent.log)
        gateway.kill(signal.SIGTERM)
        assert not any(sender.arrived() for sender in both)
        gateway.start(GATEWAY_MEMORY_MIB="512", GATEWAY_SPIKE_MIB="128")
        for sender in both:
            sender.wait_for_more("exported")
            assert_no_export_was_given_up(sender.finish())
    for sender in both:
        assert set(sender.wait_for_all().values()) == {1}


def test_an_agent_whose_queue_is_full_refuses_and_the_program_sends_again(collector, tiers, senders):
    gateway = tiers(GATEWAY, collector, **KEEP_ALL)
    agent = tiers(AGENT, gateway, AGENT_QUEUE="500", AGENT_BATCH="50")
    gateway.kill()
    # A request with more spans than the queue takes is always refused.
    with senders(agent, OTEL_BSP_MAX_EXPORT_BATCH_SIZE="50") as both:
        wait_until(lambda: "sending queue is full" in agent.log(), agent.log)
        for sender in both:
            sender.wait_for_more("created")
            sender.wait_for(lambda counts: counts["in_flight"] > 0, "nothing is tried")
        for sender in both:
            sender.stop()  # the queue must get room
        gateway.start()
        for sender in both:
            assert_no_export_was_given_up(sender.finish())
    for sender in both:
        sender.wait_for_all()


def test_an_agent_that_gives_up_says_how_many_it_drops(collector, tiers, senders):
    gateway = tiers(GATEWAY, collector, **KEEP_ALL)
    agent = tiers(AGENT, gateway, AGENT_GIVES_UP="500ms")
    gateway.kill()
    with senders(agent) as both:
        for sender in both:
            sender.wait_for_more("exported")
        wait_until(lambda: dropped_items(agent), agent.log)
        gateway.start()
        for sender in both:
            wait_until(sender.arrived, agent.log)
            # The program cannot know: the agent had acknowledged them.
            assert_no_export_was_given_up(sender.finish())
    agent.kill(signal.SIGTERM)
    gateway.kill(signal.SIGTERM)
    collector.write_all()
    arrived = sum(len(sender.arrived()) for sender in both)
    assert arrived == sum(sender.counts()["ended"] for sender in both) - dropped_items(agent)


def test_an_outage_longer_than_the_programs_bounds_is_counted_and_said_once(collector, tiers, senders):
    agent = tiers(AGENT, collector)
    with senders(agent, OTEL_EXPORTER_OTLP_TIMEOUT="1", OTEL_BSP_MAX_QUEUE_SIZE="300") as both:
        for sender in both:
            sender.wait_for_more("exported")
        agent.kill(signal.SIGTERM)
        for sender in both:
            sender.wait_for_more("failed")
            sender.wait_for_more("dropped")
        agent.start()
        for sender in both:
            sender.wait_for_more("exported")
            counts = sender.finish()
            refused, works, full = sorted(sender.logged())
            assert re.search(r"ERROR .*Failed to export \d+ spans: .*Connection refused", refused), refused
            assert "WARNING otel_rs.export: Queue full (300 spans" in full
            again = re.search(r"works again: \d+ failed, with (\d+) spans", works)
            assert again, works
            assert SPANS <= int(again[1]) <= counts["failed"]
    agent.kill(signal.SIGTERM)
    collector.write_all()
    for sender in both:
        # What failed may have been received before its answer was lost.
        counts = sender.counts()
        assert counts["exported"] <= len(sender.arrived()) <= counts["exported"] + counts["failed"]


def dropped_items(agent: Tier) -> int:
    lines = [line for line in agent.log().splitlines() if "Dropping data" in line]
    return sum(json.loads(line[line.index("{") :])["dropped_items"] for line in lines)
