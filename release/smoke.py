"""Whether an installed otel-rs works: what a program records arrives, over HTTP and gRPC, and so does a forked child's.

    python smoke.py

To be run by the Python that otel-rs is installed for. It needs that package and Python's own library alone. Everything
stays on the loopback interface. Prints what was run, and exits 0 only if all of it came.
"""

from __future__ import annotations

import http.server
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = 120

# No otel_rs in it: `otel-rs run` sets it up.
PROGRAM = """
import logging
import os

from opentelemetry import metrics, trace

tracer = trace.get_tracer("smoke")
with tracer.start_as_current_span("smoke-span", attributes={"answer": 42}):
    logging.getLogger("smoke").warning("smoke-log")
metrics.get_meter("smoke").create_counter("smoke-counter").add(3)
if hasattr(os, "fork"):
    child = os.fork()
    if child == 0:
        with tracer.start_as_current_span("smoke-child"):
            pass
    else:
        assert os.waitpid(child, 0)[1] == 0
"""


class Failure(Exception):
    pass


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes OTLP/JSON over HTTP, without any of otel-rs."""

    requests: list[tuple[str, Any]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.requests.append((self.path, json.loads(body)))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        pass


def values(message: Any, key: str) -> Iterator[Any]:
    """Of all objects within the message."""
    if isinstance(message, dict):
        if key in message:
            yield message[key]
        message = list(message.values())
    if isinstance(message, list):
        for item in message:
            yield from values(item, key)


def received(signal: str, key: str) -> set[str]:
    return {value for path, body in Receiver.requests if path == signal for value in values(body, key)}


def environment(**settings: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return {**own, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "OTEL_SERVICE_NAME": "smoke", **settings}


def run(command: list[str], **settings: str) -> None:
    environ = environment(**settings)
    ended = subprocess.run(
        command, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS
    )
    if ended.returncode or "Traceback" in ended.stdout:
        raise Failure(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stdout}")


def all_signals_over_http(folder: Path) -> str:
    program = folder / "program.py"
    program.write_text(PROGRAM)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    run(
        [sys.executable, "-m", "otel_rs", "run", str(program)],
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{server.server_port}",
        OTEL_EXPORTER_OTLP_PROTOCOL="http/json",
        OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED="true",
    )
    server.shutdown()
    spans, points = received("/v1/traces", "name"), received("/v1/metrics", "name")
    logs = received("/v1/logs", "stringValue")
    expected = {"smoke-span"} | ({"smoke-child"} if hasattr(os, "fork") else set())
    if not expected <= spans or "smoke-counter" not in points or "smoke-log" not in logs:
        raise Failure(f"not all arrived: spans {spans}, metrics {points}, logs {logs}")
    return "otel-rs run: spans, metrics and logs over HTTP" + (", of a forked child too" if hasattr(os, "fork") else "")


@contextmanager
def view(folder: Path) -> Iterator[tuple[str, Path]]:
    """The built-in receiver: its gRPC address, and the file with what it got."""
    log, printed = folder / "view.log", folder / "view.json"
    command = [sys.executable, "-m", "otel_rs", "view", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--json"]
    with log.open("w") as errors, printed.open("w") as out:
        process = subprocess.Popen(command, env=environment(), stdout=out, stderr=errors)
    try:
        listening = until(lambda: re.search(r"listening on grpc (\S+)", log.read_text()), lambda: log.read_text())
        yield listening[1], printed
    finally:
        process.terminate()
        process.wait(SECONDS)


def until(condition: Any, otherwise: Any) -> Any:
    deadline = time.monotonic() + SECONDS
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Failure(f"waited for {SECONDS} s: {otherwise()}")
        time.sleep(0.05)
    return value


def readme_over_grpc(folder: Path) -> str:
    """The first program of the README, which the package carries as its description."""
    description = importlib.metadata.metadata("otel-rs").get_payload()
    program = folder / "readme.py"
    program.write_text(re.findall(r"```python\n(.*?)```", str(description), re.DOTALL)[0])
    with view(folder) as (address, printed):
        run([sys.executable, str(program)], OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{address}")
        until(lambda: '"work"' in printed.read_text(), printed.read_text)
    return "the README's program over gRPC to otel-rs view"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            ran = [step(Path(folder)) for step in (all_signals_over_http, readme_over_grpc)]
        except (Failure, subprocess.TimeoutExpired) as failure:
            sys.exit(f"smoke test failed: {failure}")
    about = f"{platform.python_implementation()} {platform.python_version()} on {platform.machine()}"
    print(f"otel-rs {importlib.metadata.version('otel-rs')}, {about}: " + "; ".join(ran))


if __name__ == "__main__":
    main()
