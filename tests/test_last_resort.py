"""Lines of otel-rs are on stderr where the program's handlers would only export them."""

from __future__ import annotations

import subprocess
import sys

import pytest

# In a process of its own: pytest has handlers.
PROGRAM = """
import logging
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from otel_rs._last_resort import show_on_stderr

show_on_stderr(logging.getLogger("otel_rs"))
show_on_stderr(logging.getLogger("otel_rs"))
{handlers}
logging.getLogger("otel_rs.export").warning("why %s", "not")
logging.getLogger("otel_rs.export").info("a detail")
logging.getLogger("shop").warning("of the program")
"""
EXPORTS = "logging.getLogger().addHandler(LoggingHandler())\n"
SHOWS = "logging.getLogger().addHandler(logging.StreamHandler())\n"


@pytest.mark.parametrize(
    ("handlers", "stderr"),
    [
        ("", ["why not", "of the program"]),
        (EXPORTS, ["why not"]),
        (SHOWS, ["why not", "of the program"]),
        (EXPORTS + SHOWS, ["why not", "of the program"]),
        ("logging.getLogger('otel_rs').addHandler(logging.NullHandler())\n" + EXPORTS, []),
        (EXPORTS + "logging.getLogger('otel_rs').propagate = False\n" + SHOWS, ["why not", "of the program"]),
        (EXPORTS + "logging.lastResort = None\n", []),
    ],
)
def test_a_line_of_otel_rs_is_shown_once(handlers: str, stderr: list[str]) -> None:
    program = PROGRAM.format(handlers=handlers)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.splitlines() == stderr
