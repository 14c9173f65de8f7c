"""Flask's debug reloader: a process that waits, and a child that serves and is started anew when a file changes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..otelcol import Collector, attributes_of
from ..program import free_port, wait_until
from ..servers import AT_THE_END
from .arrived import Traces, traces_of
from .running import BIN, DISTRO, IMPLEMENTATIONS, INSTRUMENT, example, get, listening, on_port

SERVED = 'return "served"'
ANSWERS = 'import os; return f"served by {os.getpid()}"'
CHANGED = 'import os; return f"served again by {os.getpid()}"'
LOADED_AGAIN = "the changed program is loaded"

# The copies of the program for stock and for otel-rs are in different folders.
OF_THE_RUN = frozenset({"process.command", "process.command_args", "process.command_line", "process.parent_pid"})

WAYS: dict[str, tuple[str, Callable[[Path, int], list[Any]]]] = {
    "flask --debug run": (
        "automatic",
        lambda source, port: [INSTRUMENT, BIN / "flask", "--app", source, "--debug", "run", "--port", port],
    ),
    "app.run(debug=True)": ("automatic", lambda source, port: [INSTRUMENT, sys.executable, source]),
    "install() and app.run(debug=True)": ("programmatic", lambda source, port: [sys.executable, source]),
}


@pytest.mark.parametrize("way", WAYS)
def test_spans_come_from_the_child_that_ended_them(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path, way: str
) -> None:
    stock, ours = (
        reloaded(collector, start_program, tmp_path, way, implementation) for implementation in IMPLEMENTATIONS
    )
    assert stock.trees() == ["SERVER GET /server_request"] * 2
    assert ours.structure(without=OF_THE_RUN) == stock.structure(without=OF_THE_RUN)


def reloaded(
    collector: Collector, start_program: Callable[..., Any], folder: Path, way: str, implementation: str
) -> Traces:
    """What arrives of a request before and one after a change of the program."""
    program_name, command = WAYS[way]
    port = free_port()
    source = on_port(example("flask_three_ways", implementation, folder) / f"server_{program_name}.py", port)
    text = source.read_text().replace(f"port={port}", f"port={port}, debug=True")
    assert SERVED in text
    source.write_text(text.replace(SERVED, ANSWERS))
    environment = {
        **DISTRO[implementation],
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"),
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process",
        "OTEL_BSP_SCHEDULE_DELAY": AT_THE_END,
    }
    with listening(start_program, port, *map(str, command(source, port)), **environment) as program:
        first = get(port, "/server_request?param=before")
        source.write_text(f"print('{LOADED_AGAIN}', flush=True)\n{text.replace(SERVED, CHANGED)}")
        wait_until(lambda: LOADED_AGAIN in program.output(), program.output)
        second = get(port, "/server_request?param=after")
        assert (first.rpartition(" ")[0], second.rpartition(" ")[0]) == ("served by", "served again by")
        children = [int(answer.rpartition(" ")[2]) for answer in (first, second)]
        assert len({program.process.pid, *children}) == 3
        os.kill(children[1], signal.SIGTERM)  # the reloader ends with its child
        program.process.wait(timeout=30)
        traces = traces_of(collector, program, 2)
        spans = sorted(traces.named("GET /server_request"), key=lambda span: int(span["startTimeUnixNano"]))
        assert [attributes_of(span["resource"])["process.pid"] for span in spans] == children
        program.assert_ran_on(implementation)
    return traces
