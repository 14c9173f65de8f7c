"""A real OpenTelemetry Collector: OTLP in, and what it received to be read from a file."""

import json
import subprocess
from pathlib import Path
from typing import Any

from .program import RUN_ATTRIBUTE, Program, accepts_connections, free_port, stop, wait_until

BINARY = Path(__file__).parents[2] / ".cache" / "collector" / "otelcol"

CONFIG = """\
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: {grpc}
      http:
        endpoint: {http}
exporters:
  file:
    path: {file}
    flush_interval: 50ms
service:
  telemetry:
    metrics:
      level: none
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [file]
    metrics:
      receivers: [otlp]
      exporters: [file]
    logs:
      receivers: [otlp]
      exporters: [file]
"""


class Collector:
    """A running Collector: where it listens, and what it has received."""

    def __init__(self, folder: Path) -> None:
        self.ports = {"grpc": free_port(), "http/protobuf": free_port()}
        self._received = folder / "received.jsonl"
        self._log = folder / "collector.log"
        config = folder / "collector.yaml"
        config.write_text(
            CONFIG.format(
                grpc=f"127.0.0.1:{self.ports['grpc']}",
                http=f"127.0.0.1:{self.ports['http/protobuf']}",
                file=self._received,
            )
        )
        with self._log.open("w") as log:
            self._process = subprocess.Popen([BINARY, "--config", config], stdout=log, stderr=log)

    def wait_until_ready(self) -> bool:
        """False if the Collector gave up, as it does when another process took a port in the meantime."""
        wait_until(
            lambda: self._process.poll() is not None or all(map(accepts_connections, self.ports.values())),
            lambda: f"the Collector does not listen:\n{self.log()}",
        )
        return self._process.poll() is None

    def endpoint(self, protocol: str) -> str:
        return f"http://127.0.0.1:{self.ports[protocol.replace('json', 'protobuf')]}"

    def resource_spans(self, run: str) -> list[dict[str, Any]]:
        return self.received(run, "resourceSpans")

    def received(self, run: str, kind: str) -> list[dict[str, Any]]:
        """The OTLP/JSON ResourceSpans, ResourceMetrics or ResourceLogs that arrived from the program run under this
        id."""
        if not self._received.exists():
            return []
        lines = self._received.read_bytes().split(b"\n")[:-1]  # what follows the last newline is still being written
        return [
            item
            for line in lines
            for item in json.loads(line).get(kind, [])
            if attributes_of(item["resource"]).get(RUN_ATTRIBUTE) == run
        ]

    def wait_for_spans(self, run: str, count: int, program: Program) -> list[dict[str, Any]]:
        """The ResourceSpans of the run, once they hold `count` spans or more."""

        def enough() -> list[dict[str, Any]] | None:
            received = self.resource_spans(run)
            return received if number_of_spans(received) >= count else None

        return wait_until(
            enough,
            lambda: (
                f"{number_of_spans(self.resource_spans(run))} of {count} spans arrived."
                f"\nThe program:\n{program.output()}\nThe Collector:\n{self.log()}"
            ),
        )

    def wait_for(self, run: str, kind: str, program: Program) -> list[dict[str, Any]]:
        """What arrived of the run, once anything has."""
        return wait_until(
            lambda: self.received(run, kind),
            lambda: f"no {kind} arrived.\nThe program:\n{program.output()}\nThe Collector:\n{self.log()}",
        )

    def log(self) -> str:
        return self._log.read_text()

    def stop(self) -> None:
        stop(self._process)


def number_of_spans(resource_spans: list[dict[str, Any]]) -> int:
    return sum(len(scope_spans["spans"]) for item in resource_spans for scope_spans in item["scopeSpans"])


def attributes_of(message: dict[str, Any]) -> dict[str, Any]:
    """OTLP/JSON attributes as a dict; an int64 is a string in OTLP/JSON and an int here."""
    return {
        attribute["key"]: int(value) if kind == "intValue" else value
        for attribute in message.get("attributes", [])
        for kind, value in attribute["value"].items()
    }
