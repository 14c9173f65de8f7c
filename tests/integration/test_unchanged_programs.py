"""Programs written for the stock SDK send the same spans, natively, once `otel_rs.install()` has been called."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from ..support.receiver import HttpReceiver, Receiver
from .examples.running import EXAMPLES, REMOTE_SPAN_ID, TRACEPARENT, get, site_that_installs
from .program import Program, accepts_connections, free_port, wait_until

STOCK_LIBRARIES = ["grpc", "google.protobuf", "requests"]


def wait_until_serving(program: Program, port: int) -> None:
    wait_until(
        lambda: program.process.poll() is not None or accepts_connections(port),
        lambda: f"the program does not serve:\n{program.output()}",
    )
    assert program.process.poll() is None, program.output()


def assert_ran_on(implementation: str, program: Program) -> None:
    assert program.imported("otel_rs._native") is (implementation == "installed")
    if implementation == "installed":
        assert not [name for name in STOCK_LIBRARIES if program.imported(name)], program.output()


def structure_of(receiver: Receiver, port: int) -> dict[str, Any]:
    """Everything that arrived, with names instead of ids and ports, and without times: the same in each run."""
    ids = {span.span_id: span.name for span in receiver.spans()}
    spans, resources = [], []
    for request in list(receiver.requests):
        for resource_spans in request.message.resource_spans:
            resources.append(
                {
                    attribute.key: MessageToDict(attribute.value)
                    for attribute in resource_spans.resource.attributes
                    if attribute.key not in ("process.pid", "service.instance.id", "test.run")
                }
            )
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    fields = MessageToDict(span)
                    for changing in ("startTimeUnixNano", "endTimeUnixNano", "traceId", "spanId", "parentSpanId"):
                        fields.pop(changing, None)
                    fields["parent"] = ids.get(span.parent_span_id, span.parent_span_id.hex())
                    fields["attributes"] = {
                        attribute.key: "PORT"
                        if attribute.key.endswith(".port")
                        else str(MessageToDict(attribute.value)).replace(f":{port}", ":PORT")
                        for attribute in span.attributes
                    }
                    spans.append({**fields, "scope": MessageToDict(scope_spans.scope)})
    assert all(resource == resources[0] for resource in resources)
    return {"resource": resources[0], "spans": sorted(spans, key=lambda span: (span["name"], span["parent"]))}


def test_django_under_gunicorn(start_program: Callable[..., Any], http_receiver: HttpReceiver, tmp_path: Path) -> None:
    for package in (
        "django",
        "gunicorn",
        "opentelemetry.instrumentation.django",
        "opentelemetry.instrumentation.dbapi",
    ):
        pytest.importorskip(package)
    example = EXAMPLES / "django_gunicorn"
    with_install = example / "gunicorn.conf.py"
    without_install = tmp_path / "gunicorn.conf.py"
    two_lines = "import otel_rs\n\notel_rs.install()\n"
    assert two_lines in with_install.read_text()
    without_install.write_text(with_install.read_text().replace(two_lines, ""))

    def sent_by(implementation: str, config: Path, pythonpath: str) -> dict[str, Any]:
        http_receiver.requests.clear()
        port = free_port()
        environment = {
            "PORT": str(port),
            "PYTHONPATH": pythonpath,
            "HOME": str(tmp_path),
            "TRACES_ENDPOINT": http_receiver.endpoint,
            "API_KEY": "key",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        command = [sys.executable, "-m", "gunicorn", "--config", config, "wsgi"]
        with start_program(*command, **environment) as program:
            wait_until_serving(program, port)
            assert get(port, "/orders/3", traceparent=TRACEPARENT) == "21"
            http_receiver.wait_for_spans(3)
            assert_ran_on(implementation, program)
        headers = http_receiver.requests[0].headers
        assert (headers["api-key"], headers["content-encoding"]) == ("key", "gzip")
        return structure_of(http_receiver, port)

    stock = sent_by("stock", without_install, str(example))
    assert [(span["name"], span["kind"], span["parent"]) for span in stock["spans"]] == [
        ("GET orders/<int:number>", "SPAN_KIND_SERVER", REMOTE_SPAN_ID),
        ("SELECT", "SPAN_KIND_CLIENT", "price"),
        ("price", "SPAN_KIND_INTERNAL", "GET orders/<int:number>"),
    ]
    assert stock["resource"]["service.name"] == {"stringValue": "shop"}
    assert sent_by("installed", with_install, str(example)) == stock
    assert sent_by("installed", without_install, f"{site_that_installs(tmp_path)}:{example}") == stock
