"""The examples of the project, each runnable on otel-rs as it stands and on the stock SDK without its two lines."""

from __future__ import annotations

import shutil
import signal
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..program import Program, accepts_connections, wait_until

EXAMPLES = Path(__file__).parents[3] / "examples"
BIN = Path(sys.executable).parent
INSTRUMENT = BIN / "opentelemetry-instrument"

IMPLEMENTATIONS = ["stock", "otel-rs"]

# What makes a program for the stock SDK native; the stock side of a test runs it without them.
TWO_LINES = "import otel_rs\n\notel_rs.install()\n"

# What selects the implementation where the program is under opentelemetry-instrument. The stock distro has a name, too,
# so that the test does not depend on which one is found first.
DISTRO = {
    "stock": {"OTEL_PYTHON_DISTRO": "distro", "OTEL_PYTHON_CONFIGURATOR": "configurator"},
    "otel-rs": {"OTEL_PYTHON_DISTRO": "rs"},
}

REMOTE_TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
REMOTE_SPAN_ID = "b7ad6b7169203331"
TRACEPARENT = f"00-{REMOTE_TRACE_ID}-{REMOTE_SPAN_ID}-01"


def example(name: str, implementation: str, folder: Path) -> Path:
    """A copy of the example's folder in `folder`; for the stock SDK without the two lines of otel-rs."""
    copy = folder / f"{name}-{implementation}"
    shutil.copytree(EXAMPLES / name, copy, ignore=shutil.ignore_patterns("__pycache__"))
    if implementation == "stock":
        for program in copy.rglob("*.py"):
            source = program.read_text()
            program.write_text(source.replace(TWO_LINES, ""))
            assert "otel_rs" not in program.read_text(), program
    return copy


def on_port(program: Path, port: int) -> Path:
    """The program, which listens on port 8082 as it is written, listening on this one."""
    source = program.read_text()
    assert "8082" in source
    program.write_text(source.replace("8082", str(port)))
    return program


def site_that_installs(folder: Path) -> str:
    """A folder for PYTHONPATH with which an unchanged program runs on otel-rs."""
    site = folder / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text("import otel_rs\notel_rs.install()\n")
    return str(site)


@contextmanager
def listening(
    start_program: Callable[..., Any], port: int, *command: str | Path, **environment: str
) -> Iterator[Program]:
    """Runs the command until the end of the block, which starts when the command listens on the port."""
    with start_program(*command, **environment) as program:
        wait_until(
            lambda: program.process.poll() is not None or accepts_connections(port),
            lambda: f"it does not listen:\n{program.output()}",
        )
        assert program.process.poll() is None, program.output()
        yield program


def interrupt(program: Program) -> None:
    """Stops the program as Ctrl+C does, and waits for its end."""
    program.process.send_signal(signal.SIGINT)
    program.process.wait(timeout=30)


def get(port: int, path: str, status: int = 200, **headers: str) -> str:
    """The body of the answer, which has this status, to a GET request; urllib is not instrumented in this process."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), AnyStatus)
    with direct.open(request, timeout=10) as response:
        assert response.status == status, response.read()
        return response.read().decode()


class AnyStatus(urllib.request.HTTPErrorProcessor):
    """An answer with an error's status is an answer, too."""

    def http_response(self, request: urllib.request.Request, response: Any) -> Any:
        return response
