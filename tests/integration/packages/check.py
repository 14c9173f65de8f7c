"""Third-party packages send on otel-rs what they send on the stock SDK: `make packages`.

Each package has an environment of its own, in its latest release, and a program in `programs/`. The program runs twice
on the stock SDK, which shows what differs from run to run, and once on otel-rs.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from ...support.receiver import GrpcReceiver, HttpReceiver, Receiver, started

ROOT = Path(__file__).parents[3]
PROGRAMS = Path(__file__).parent / "programs"
OTLP = "opentelemetry-exporter-otlp"

# What is installed for each program besides otel-rs.
PACKAGES = {
    "azure": ("azure-core", "opentelemetry-sdk", OTLP),
    "langfuse": ("langfuse",),
    "litellm": ("litellm", "opentelemetry-sdk", OTLP),
    "logfire": ("logfire",),
    "phoenix": ("arize-phoenix-otel",),
    "sentry": ("sentry-sdk[opentelemetry]", f"{OTLP}-proto-http"),
    # It imports httpx, but does not require it.
    "traceloop": ("traceloop-sdk", "httpx"),
}
VARIABLES = {"logfire": {"LOGFIRE_TOKEN": "token", "LOGFIRE_BASE_URL": "{http}"}}
SECONDS = 120


def environment_for(package: str) -> Path:
    """The Python of an environment with the package; it is made anew when its requirements change."""
    requirements = [*PACKAGES[package], "opentelemetry-instrumentation"]
    made_of = json.dumps([sys.version, sys.prefix, requirements])
    folder = ROOT / ".cache" / "packages" / f"{package}-{hashlib.sha256(made_of.encode()).hexdigest()[:8]}"
    python = folder / "bin" / "python"
    if not (folder / ".made").exists():
        uv = [sys.executable, "-m", "uv", "--quiet"]
        subprocess.run([*uv, "venv", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([*uv, "pip", "install", "--system-certs", "--python", python, *requirements], check=True)
        site_packages = next((folder / "lib").glob("python*/site-packages"))
        (site_packages / "otel_rs.pth").write_text(f"{ROOT / 'python'}\n")
        (folder / ".made").touch()
    return python


@pytest.fixture
def grpc_receiver() -> Iterator[GrpcReceiver]:
    yield from started(GrpcReceiver)


@pytest.fixture
def http_receiver() -> Iterator[HttpReceiver]:
    yield from started(HttpReceiver)


@pytest.fixture
def sent_on(tmp_path: Path, http_receiver: HttpReceiver, grpc_receiver: GrpcReceiver) -> Callable[..., dict[str, str]]:
    """`sent_on(sdk, package)` runs the package's program, and returns what arrived."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("import otel_rs\notel_rs.install()\n")
    receivers = (http_receiver, grpc_receiver)

    def run(sdk: str, package: str) -> dict[str, str]:
        for receiver in receivers:
            receiver.requests.clear()
        # Some packages behave differently under pytest.
        left_out = ("OTEL_", "PYTHON", "PYTEST_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        variables = {name: value.format(http=http_receiver.base) for name, value in VARIABLES.get(package, {}).items()}
        done = subprocess.run(
            [environment_for(package), PROGRAMS / f"uses_{package}.py"],
            env={
                **inherited,
                **variables,
                "HTTP_ENDPOINT": http_receiver.base,
                "GRPC_ENDPOINT": grpc_receiver.base,
                **({"PYTHONPATH": str(site)} if sdk == "otel-rs" else {}),
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, f"{package} on {sdk}:\n{done.stdout}\n{done.stderr}"
        return facts_of(receivers)

    return run


def facts_of(receivers: tuple[Receiver, ...]) -> dict[str, str]:
    """What arrived, as a table of places and values: spans with their parents' names, log records and metrics."""
    facts: dict[str, str] = {}
    for receiver in receivers:
        names = {span.span_id: span.name for span in receiver.spans()}
        seen: Counter[str] = Counter()

        def name_of(what: str, seen: Counter[str] = seen, receiver: Receiver = receiver) -> str:
            seen[what] += 1
            return f"{receiver.protocol}: {what} #{seen[what]}"

        for span in sorted(receiver.spans(), key=lambda span: (span.start_time_unix_nano, span.end_time_unix_nano)):
            fields = MessageToDict(span)
            fields["parentSpanId"] = names.get(span.parent_span_id, span.parent_span_id.hex())
            facts.update(flat(name_of(f"span {span.name}"), fields))
        for record in receiver.log_records():
            facts.update(flat(name_of(f"log record {record.event_name}"), MessageToDict(record)))
        for metric in receiver.metrics():
            facts[f"{receiver.protocol}: metric {metric.name}"] = metric.WhichOneof("data")
        for request in receiver.requests:
            for name in ("authorization", "api-key", "x-sentry-auth", "content-encoding", "content-type"):
                if name in request.headers:
                    facts[f"{request.path}: header {name}"] = request.headers[name]
    return facts


def flat(place: str, value: Any) -> Iterator[tuple[str, str]]:
    """The values in a JSON value, each with its place; attributes and their like by their keys."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(f"{place}/{key}", inner)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            key = inner["key"] if isinstance(inner, dict) and "key" in inner else str(position)
            yield from flat(f"{place}/{key}", inner)
    else:
        yield place, str(value)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_sends_what_it_sends_on_the_stock_sdk(package: str, sent_on: Callable[..., dict[str, str]]) -> None:
    stock, again = sent_on("stock", package), sent_on("stock", package)
    assert any(": span " in place for place in stock)
    same_in_every_run = {place: value for place, value in stock.items() if again.get(place) == value}
    ours = sent_on("otel-rs", package)
    assert {place: ours.get(place) for place in same_in_every_run} == same_in_every_run
    assert ours.keys() - stock.keys() - again.keys() == set()
