"""A real OpenTelemetry Collector: it receives OTLP, and writes what it receives to a file that the tests read."""

import json
import subprocess
import urllib.request
import uuid
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
    """A running Collector: its ports, and what it received."""

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
        """Returns False if the Collector ended, as it does when another process took a port meanwhile."""
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
        """The received OTLP/JSON ResourceSpans, ResourceMetrics or ResourceLogs of the program with this run id."""
        if not self._received.exists():
            return []
        lines = self._received.read_bytes().split(b"\n")[:-1]  # the Collector is still writing the last line
        return [
            item
            for line in lines
            if run.encode() in line
            for item in json.loads(line).get(kind, [])
            if attributes_of(item["resource"]).get(RUN_ATTRIBUTE) == run
        ]

    def wait_for_spans(self, run: str, count: int, program: Program) -> list[dict[str, Any]]:
        """Waits until `count` spans of the run have arrived; returns their ResourceSpans."""

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
        """Waits until something of the run has arrived; returns it."""
        return wait_until(
            lambda: self.received(run, kind),
            lambda: f"no {kind} arrived.\nThe program:\n{program.output()}\nThe Collector:\n{self.log()}",
        )

    def write_all(self) -> None:
        """Waits until all that was received before this call is in the file: it writes in the order of receipt."""
        run = uuid.uuid4().hex
        resource = {"attributes": [{"key": RUN_ATTRIBUTE, "value": {"stringValue": run}}]}
        span = {"traceId": run, "spanId": run[:16], "name": "the last"}
        body = json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}).encode()
        url = f"{self.endpoint('http/protobuf')}/v1/traces"
        request = urllib.request.Request(url, body, {"content-type": "application/json"})
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).close()
        wait_until(lambda: self.resource_spans(run), lambda: f"a span is not written:\n{self.log()}")

    def log(self) -> str:
        return self._log.read_text()

    def stop(self) -> None:
        stop(self._process)


def number_of_spans(resource_spans: list[dict[str, Any]]) -> int:
    return sum(len(scope_spans["spans"]) for item in resource_spans for scope_spans in item["scopeSpans"])


def attributes_of(message: dict[str, Any]) -> dict[str, Any]:
    """Converts OTLP/JSON attributes to a dict; an int64, which is a string in OTLP/JSON, becomes an int."""
    return {
        attribute["key"]: int(value) if kind == "intValue" else value
        for attribute in message.get("attributes", [])
        for kind, value in attribute["value"].items()
    }
