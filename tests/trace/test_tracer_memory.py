"""What tracers and providers hold, by the resident memory of a process, since much of it is native."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ..support.receiver import DEADLINE_SECONDS

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")

PROGRAM = """
import gc, os, sys
from opentelemetry.sdk.resources import Resource
if sys.argv[1] == "native":
    from otel_rs import TracerProvider
else:
    from opentelemetry.sdk.trace import TracerProvider

def resident():
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

provider = TracerProvider(resource=Resource({"large": "x" * 200_000}), shutdown_on_exit=False)
provider.get_tracer("first").start_span("first").end()
before = resident()
KEPT
for tracer in kept:
    tracer.start_span("span").end()
print(resident() - before)
"""

TRACERS = "kept = [provider.get_tracer(f'library.of.number.{number}', '1.0') for number in range(20_000)]"
PROVIDERS = """
providers = [TracerProvider(resource=provider.resource, shutdown_on_exit=False) for _ in range(200)]
kept = [provider.get_tracer("library") for provider in providers]
"""


def bytes_held(sdk: str, kept: str) -> int:
    program = PROGRAM.replace("KEPT", kept)
    ran = subprocess.run(
        [sys.executable, "-c", program, sdk], capture_output=True, timeout=DEADLINE_SECONDS, check=True
    )
    return int(ran.stdout)


def test_many_tracers_hold_no_more_memory_than_the_stock_sdks() -> None:
    stock, native = bytes_held("stock", TRACERS), bytes_held("native", TRACERS)
    # The allocators' own granularity. CPython 3.13 gives an object of a class with a native base its own dict.
    most = 1.5 if sys.version_info[:2] == (3, 13) else 1.1
    assert native < most * stock, (native, stock)


def test_providers_share_the_wire_form_of_their_resource() -> None:
    """Of 200 kB, by 200 providers."""
    assert bytes_held("native", PROVIDERS) < 5_000_000
