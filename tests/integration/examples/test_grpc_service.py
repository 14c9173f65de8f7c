"""examples/grpc_service sends from otel-rs what it sends from the stock SDK; the exporter's own calls make no spans."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..otelcol import Collector, attributes_of
from ..program import RUN_ATTRIBUTE, free_port
from ..servers import SOON
from .arrived import Traces, log_records, log_structure, traces_of
from .running import BIN, DISTRO, IMPLEMENTATIONS, INSTRUMENT, example, interrupt, listening

pytest.importorskip("opentelemetry.instrumentation.grpc")

CALLS = [f"/shop.Prices/{method}" for method in ("Catalogue", "Price", "Price", "Total")]
TREES = sorted([*(f"CLIENT {call}" for call in CALLS), *(f"SERVER {call} < CLIENT {call}" for call in CALLS)])

FOLDERS = (r"grpc_service-(stock|otel-rs)", "grpc_service")
# The stock SDK's `start_as_current_span` is a generator, whose frames are in stack traces.
FRAMES_OF_THE_SDK = (r"  File [^,]+/trace/__init__\.py[^,]+, line \d+, in \w+\\\\n    yield span\\\\n", "")
# As contrib's module, or ours.
FRAME_OF_THE_CLIENT = (r"  File [^,]+/(?:grpc/_client|instrument/grpc_client)\.py[^,]+, line \d+, in _intercept", "")

SERVER, CLIENT = 2, 3
OK, NOT_FOUND = 0, 5
ERROR = 2


@pytest.mark.parametrize("kind", ["", "aio_"], ids=["threads", "asyncio"])
def test_a_trace_crosses_each_call(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path, kind: str
) -> None:
    arrived = {}
    for implementation in IMPLEMENTATIONS:
        port = free_port()
        environment = {
            **DISTRO[implementation],
            "PORT": str(port),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"),
            "OTEL_BSP_SCHEDULE_DELAY": SOON,
            "OTEL_BLRP_SCHEDULE_DELAY": SOON,
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "none",
        }
        python = ["env", "-C", example("grpc_service", implementation, tmp_path), INSTRUMENT, BIN / "python"]
        server_command = [*python, f"{kind}server.py"]
        with listening(start_program, port, *server_command, **environment, OTEL_SERVICE_NAME="prices") as server:
            environment["OTEL_RESOURCE_ATTRIBUTES"] = f"{RUN_ATTRIBUTE}={server.run}"
            with start_program(*python, f"{kind}client.py", **environment, OTEL_SERVICE_NAME="shop") as client:
                assert client.process.wait(timeout=60) == 0, client.output()
            assert client.output().splitlines() == ["40", "240", "StatusCode.NOT_FOUND nobody sells a rug"]
            traces = traces_of(collector, server, len(TREES))
            records = log_records(collector, server, 1)
            interrupt(server)

        assert len(Traces(collector.resource_spans(server.run))) == len(TREES), "the exporter's own calls are traced"
        assert traces.trees() == TREES
        assert_errors(traces)
        assert records[0]["body"] == {"stringValue": "no price of a rug"}
        assert records[0]["spanId"] in {
            span["spanId"] for span in traces.named("/shop.Prices/Price") if span["kind"] == SERVER
        }
        for program in (server, client):
            assert program.imported("otel_rs._native") is (implementation == "otel-rs")
            assert program.imported("opentelemetry.exporter.otlp.proto.common") is (implementation == "stock")
        arrived[implementation] = (
            traces.structure(FOLDERS, FRAMES_OF_THE_SDK, FRAME_OF_THE_CLIENT),
            log_structure(records, traces, FOLDERS),
        )
    assert arrived["otel-rs"] == arrived["stock"]


def assert_errors(traces: Traces) -> None:
    """Both sides of the call for the rug say NOT_FOUND; for the client that is an error."""
    codes = {
        (span["kind"], attributes_of(span)["rpc.grpc.status_code"], span["status"].get("code"))
        for span in traces.named("/shop.Prices/Price")
    }
    assert codes == {(CLIENT, OK, None), (SERVER, OK, None), (CLIENT, NOT_FOUND, ERROR), (SERVER, NOT_FOUND, None)}
