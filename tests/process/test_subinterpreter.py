"""A subinterpreter (mod_wsgi) cannot load the native module: the error says so, and the distro uses the stock SDK."""

from __future__ import annotations

import pytest

from ..support.program import run

# A subinterpreter that shares the GIL, as in servers; newer CPython versions renamed the module.
IN_A_SUBINTERPRETER = """
try:
    import _interpreters as interpreters
    made = interpreters.create("legacy")
except ImportError:
    import _xxsubinterpreters as interpreters
    made = interpreters.create(isolated=False)
failure = interpreters.run_string(made, '''
{program}
''')
assert not failure, failure
interpreters.destroy(made)
"""


def in_a_subinterpreter(program: str) -> str:
    return IN_A_SUBINTERPRETER.format(program=program)


@pytest.mark.parametrize("loaded_before", [False, True])
def test_the_import_error_explains_the_solution(loaded_before: bool) -> None:
    first = "import otel_rs._native\n" if loaded_before else ""
    done = run(
        first
        + in_a_subinterpreter("""
try:
    from otel_rs import TracerProvider
except ImportError as error:
    print(error)
""")
    )
    assert done.stdout.startswith("otel-rs cannot be used in a subinterpreter; run the program in the main interpreter")


def test_the_distro_sets_up_the_stock_sdk() -> None:
    program = in_a_subinterpreter("""
import logging
import sys
logging.basicConfig(format="%(name)s %(message)s")
from opentelemetry.instrumentation.auto_instrumentation import initialize
initialize()
from opentelemetry import trace
provider = trace.get_tracer_provider()
print(type(provider).__module__)
with trace.get_tracer("test").start_as_current_span("exported by the stock SDK"):
    pass
provider.shutdown()
""")
    exporters = {"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    done = run(program, OTEL_PYTHON_DISTRO="rs", **exporters)
    assert done.stdout.startswith("opentelemetry.sdk.trace\n")
    assert '"name": "exported by the stock SDK"' in done.stdout
    assert "otel_rs The stock SDK is used instead of otel-rs: otel-rs cannot be used in a subinterpreter" in done.stderr
