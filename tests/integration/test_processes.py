"""Every form of fork, while four threads end spans and an export runs; a real Collector counts the spans.

Each span and its log line arrive once, from the process that ended it; the parent keeps its connections, and no child
has them open.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from .ended_spans import EndedSpans, everything_received
from .otelcol import attributes_of
from .slow_relay import slow_relay

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="descriptors are read from /proc")

FORKS = Path(__file__).parent / "programs" / "forks.py"

# The number of children that end spans; None if the pool decides.
CHILDREN = {
    "os.fork": 3,
    "os.fork, os._exit": 3,
    "os.fork, os.execv": 2,
    "os.fork in a thread": 3,
    "os.fork of a fork": 5,
    "os.fork in a signal handler": 6,
    "double fork": 1,
    "subprocess": 4,
    "Process, fork": 3,
    "Process, forkserver": 3,
    "Process, spawn": 3,
    "Process in a thread": 3,
    "Process with threads": 1,
    "Process that raises": 3,
    "Pool, fork": None,
    "Pool, forkserver": None,
    "Pool, spawn": None,
    "Pool, terminated": None,
    "ProcessPoolExecutor": None,
    "ProcessPoolExecutor, spawn": None,
}
CASES = [
    (
        form,
        configured,
        ("grpc", "http/protobuf")[number % 2],
        ("cumulative", "delta")[number // 2 % 2],
        number // 4 % 2 == 0,
    )
    for number, (form, configured) in enumerate(
        (form, configured)
        for configured in ("before", "after")
        for form in CHILDREN
        # A new interpreter is always configured after its start.
        if configured == "after" or "spawn" not in form
    )
]


@pytest.mark.parametrize(("form", "configured", "protocol", "temporality", "observes"), CASES)
def test_what_every_process_records_arrives_once(
    collector, start_program, tmp_path, form, configured, protocol, temporality, observes
):
    ended = EndedSpans(tmp_path)
    with slow_relay(collector.ports[protocol]) as port:
        environment = {
            **ended.environment(protocol, port),
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": temporality,
            **({"OBSERVES": "1", "HANDLER": "sdk"} if observes else {}),
        }
        with start_program(sys.executable, FORKS, form, configured, **environment) as program:
            assert program.process.wait(timeout=60) == 0, program.output()
            children = frozenset(ended.processes() - {program.process.pid})
            ended.assert_received_once(collector, program)
    # A process that ends in C does not come to Python's callbacks.
    observed = ended.processes() - (children if form == "Pool, terminated" else set())
    ended.assert_measured(collector, program, temporality, frozenset(observed) if observes else frozenset())
    ended.assert_logged(collector, program)

    assert children
    assert len(children) == (CHILDREN[form] or len(children))
    assert children <= {line["pid"] for line in ended.lines_of("child")}
    assert [line["inherited"] for line in ended.lines_of("child") if line["inherited"]] == []
    (connections,) = ended.lines_of("connections")
    assert connections["before"]
    assert connections["after"] == connections["before"]
    generations = [line["connections"] for line in ended.lines_of("generation")]
    assert generations == ([3] * 5 if form == "os.fork of a fork" else [])


def test_generations_of_forks_do_not_accumulate_resources(collector, start_program, tmp_path):
    ended = EndedSpans(tmp_path)
    environment = ended.environment("grpc", collector.ports["grpc"])
    with start_program(sys.executable, FORKS, "os.fork of a fork", "before", **environment) as program:
        assert program.process.wait(timeout=60) == 0, program.output()
    generations = [line["held"] for line in ended.lines_of("generation")]
    assert len(generations) == 5
    assert generations == generations[:1] * 5


@pytest.mark.parametrize("implementation", ["stock", "otel_rs"])
def test_a_childs_resource_differs_from_its_parents_as_in_the_stock_sdk(
    collector, start_program, tmp_path, implementation
):
    ended = EndedSpans(tmp_path)
    protocol = "http/protobuf"
    environment = ended.environment(protocol, collector.ports[protocol]) | {"IMPLEMENTATION": implementation}
    with start_program(sys.executable, FORKS, "os.fork", "before", **environment) as program:
        assert program.process.wait(timeout=60) == 0, program.output()
        program.assert_ran_on(implementation)
        received = everything_received(collector, program)

    resources = {attributes_of(item["resource"])["process.pid"]: attributes_of(item["resource"]) for item in received}
    parent = resources.pop(program.process.pid)
    assert resources  # with otel-rs the resources of all children arrive, as the tests above check
    for pid, child in resources.items():
        assert child.keys() == parent.keys()
        differing = {key for key in child if child[key] != parent[key]}
        assert differing == {"process.pid", "process.parent_pid", "service.instance.id"}
        assert (child["process.pid"], child["process.parent_pid"]) == (pid, program.process.pid)
