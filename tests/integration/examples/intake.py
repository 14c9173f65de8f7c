"""A vendor's HTTPS intake for spans: it wants a key, protobuf and gzip at its path, and refuses everything else."""

from __future__ import annotations

import base64
from typing import Any

from google.protobuf.json_format import MessageToDict

from ...support.receiver import Answer, HttpReceiver, ServerTls
from ..otelcol import attributes_of
from ..program import RUN_ATTRIBUTE, Program, wait_until
from .arrived import Traces


class Intake(HttpReceiver):
    """`refused` has the status of each request that was refused; `requests` has the others."""

    def __init__(self, tls: ServerTls, header: str, key: str) -> None:
        self._wanted = {
            header.lower(): (key, 401),
            "content-type": ("application/x-protobuf", 415),
            "content-encoding": ("gzip", 415),
            "accept": ("*/*", 406),
        }
        self.refused: list[int] = []
        super().__init__(tls)

    def _take(self, body: bytes, headers: dict[str, str], path: str, encoded_size: int) -> Answer | None:
        wrong = [status for name, (value, status) in self._wanted.items() if headers.get(name) != value]
        if path != "/v1/traces":
            wrong.insert(0, 404)
        if wrong:
            self.refused.append(wrong[0])
            return Answer(wrong[0])
        return super()._take(body, headers, path, encoded_size)

    def resource_spans(self, run: str) -> list[dict[str, Any]]:
        """The OTLP/JSON ResourceSpans of the program with this run id, as the Collector's."""
        messages = [MessageToDict(request.message, use_integers_for_enums=True) for request in list(self.requests)]
        items = [_with_hexadecimal_ids(item) for message in messages for item in message["resourceSpans"]]
        return [item for item in items if attributes_of(item["resource"]).get(RUN_ATTRIBUTE) == run]

    def traces(self, program: Program, count: int) -> Traces:
        """Waits until `count` spans of the program have arrived; there must not be more."""
        wait_until(
            lambda: len(Traces(self.resource_spans(program.run))) >= count,
            lambda: (
                f"{len(Traces(self.resource_spans(program.run)))} of {count} spans arrived, refused: {self.refused}"
                f"\n{program.output()}"
            ),
        )
        traces = Traces(self.resource_spans(program.run))
        assert len(traces) == count, "\n".join(traces.trees())
        assert len(set(traces.ids())) == count, "a span arrived twice"
        assert not self.refused
        return traces


def _with_hexadecimal_ids(value: Any) -> Any:
    """protobuf's JSON mapping has ids in base64, OTLP/JSON in hexadecimal."""
    if isinstance(value, list):
        return [_with_hexadecimal_ids(item) for item in value]
    if isinstance(value, dict):
        return {
            name: base64.b64decode(item).hex()
            if name in ("traceId", "spanId", "parentSpanId")
            else _with_hexadecimal_ids(item)
            for name, item in value.items()
        }
    return value
