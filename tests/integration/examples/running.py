"""The examples of the project, each runnable on otel-rs as it stands and on the stock SDK without its two lines."""

from __future__ import annotations

import shutil
import sys
import urllib.request
from pathlib import Path

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


def get(port: int, path: str, **headers: str) -> str:
    """The body of the answer to a GET request; urllib is not instrumented in the tests' own process."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=10) as response:
        return response.read().decode()
