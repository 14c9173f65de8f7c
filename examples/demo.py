"""The main job, shown and checked: a Flask program that knows nothing of OpenTelemetry is traced by otel-rs.

Starts the receiver (`otel-rs view`) and flask_three_ways/server_automatic.py under `opentelemetry-instrument` with the
rs distro, sends it one request, prints the trace that the receiver got, and exits 0 only if the span is the one that
the request must give.
"""

import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

APP = Path(__file__).parent / "flask_three_ways" / "server_automatic.py"
SERVICE = "demo-shop"
DEADLINE_SECONDS = 20

KIND_NAMES = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}
EXPECTED_NAME = "GET /server_request"
EXPECTED_KIND = "SERVER"
EXPECTED_ATTRIBUTES = {"http.method": "GET", "http.route": "/server_request", "http.status_code": "200"}


class DemoError(Exception):
    """What went wrong, in words for the one who runs the demo."""


@contextmanager
def running(command: list[str | Path], log: IO[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stderr=log, text=True, **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(what: str, process: subprocess.Popen[str], log: Path, condition: Any) -> Any:
    """The first true value of `condition`; an error with the process's own words if it ends first or is too slow."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (value := condition()):
        if process.poll() is not None:
            raise DemoError(f"{what}: the process ended with {process.returncode}:\n{log.read_text()}")
        if time.monotonic() > deadline:
            raise DemoError(f"{what}: nothing after {DEADLINE_SECONDS} s:\n{log.read_text()}")
        time.sleep(0.05)
    return value


def listening_port(log: Path, protocol: str) -> int | None:
    match = re.search(rf"^otel-rs view: listening on {protocol} 127\.0\.0\.1:(\d+)$", log.read_text(), re.MULTILINE)
    return int(match[1]) if match else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def attributes_of(message: dict[str, Any]) -> dict[str, str]:
    return {item["key"]: str(next(iter(item["value"].values()), "")) for item in message.get("attributes", [])}


def spans_in(request: dict[str, Any]) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Every span of an OTLP/JSON request, with the attributes of its resource."""
    for resource_spans in request.get("resourceSpans", []):
        resource = attributes_of(resource_spans.get("resource", {}))
        for scope_spans in resource_spans.get("scopeSpans", []):
            for span in scope_spans.get("spans", []):
                yield resource, span


def show(resource: dict[str, str], span: dict[str, Any]) -> None:
    milliseconds = (int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])) / 1e6
    print(f"trace {span['traceId']}")
    print(f"└─ {resource.get('service.name')}: {span['name']}  {kind_of(span)}  {milliseconds:.2f} ms")
    for key, value in sorted(attributes_of(span).items()):
        print(f"     {key} = {value}")


def kind_of(span: dict[str, Any]) -> str:
    return KIND_NAMES.get(span.get("kind", 0), "UNSPECIFIED")


def differences(resource: dict[str, str], span: dict[str, Any]) -> list[str]:
    attributes = attributes_of(span)
    checks = [
        ("service.name", resource.get("service.name"), SERVICE),
        ("name", span["name"], EXPECTED_NAME),
        ("kind", kind_of(span), EXPECTED_KIND),
        *((key, attributes.get(key), value) for key, value in EXPECTED_ATTRIBUTES.items()),
    ]
    return [f"{what} is {got!r}, expected {expected!r}" for what, got, expected in checks if got != expected]


def run(folder: Path, stack: ExitStack) -> None:
    view_log, app_log = folder / "view.log", folder / "app.log"

    view = stack.enter_context(
        running(
            [sys.executable, "-m", "otel_rs.cli", "view", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--json"],
            stack.enter_context(view_log.open("w")),
            stdout=subprocess.PIPE,
        )
    )
    grpc_port = wait_for("starting the receiver", view, view_log, lambda: listening_port(view_log, "grpc"))
    print(f"otel-rs view listens on 127.0.0.1:{grpc_port} (gRPC)")
    received: queue.Queue[str] = queue.Queue()
    # Ends with the receiver, which closes its end of the pipe.
    threading.Thread(target=lambda: [received.put(line) for line in view.stdout], daemon=True).start()

    app_port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environment |= {
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "OTEL_PYTHON_DISTRO": "rs",
        "OTEL_SERVICE_NAME": SERVICE,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{grpc_port}",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    instrument = Path(sys.executable).with_name("opentelemetry-instrument")
    flask = ["-m", "flask", "--app", os.path.relpath(APP), "run", "--port", str(app_port)]
    print("OTEL_PYTHON_DISTRO=rs opentelemetry-instrument python", *flask)
    log = stack.enter_context(app_log.open("w"))
    app = stack.enter_context(running([instrument, sys.executable, *flask], log, stdout=log, env=environment))
    wait_for("starting the Flask program", app, app_log, lambda: accepts_connections(app_port))

    url = f"http://127.0.0.1:{app_port}/server_request?param=demo"
    print(f"GET {url}\n")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=DEADLINE_SECONDS) as response:
        response.read()

    wait_for("waiting for the span", app, app_log, lambda: not received.empty())
    line = received.get()
    try:
        spans = list(spans_in(json.loads(line)))
    except ValueError as error:
        raise DemoError(f"the receiver printed something else than OTLP/JSON: {line}") from error
    for resource, span in spans:
        show(resource, span)
    if len(spans) != 1:
        raise DemoError(f"{len(spans)} spans arrived for one request")
    if wrong := differences(*spans[0]):
        raise DemoError("the span is not as it should be: " + "; ".join(wrong))


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        try:
            run(Path(folder), stack)
        except (DemoError, OSError) as error:
            print(f"\nThe demo failed: {error}", file=sys.stderr)
            return 1
    print("\nThe span arrived with the right service, name, kind and attributes.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
