"""For a program's own tests: what it records, in memory, and a receiver of what it sends.

pytest has the fixtures ``telemetry`` and ``otlp_receiver`` where this package is installed::

    def test_checkout(telemetry):
        shop.checkout()
        assert telemetry.traces() == [span("checkout", span("INSERT", attributes={"db.system": "sqlite"}))]

Without pytest, `Telemetry` and `Receiver` are context managers.
"""

from typing import TYPE_CHECKING

from otel_rs._lazy_exports import lazy_exports, with_exports

if TYPE_CHECKING:
    from otel_rs.testing.expected import Expected, span
    from otel_rs.testing.memory import Telemetry
    from otel_rs.testing.receiver import Receiver
    from otel_rs.testing.recorded import LogLine, Node, Point

__all__ = ["Expected", "LogLine", "Node", "Point", "Receiver", "Telemetry", "span"]

# pytest imports the plugin in every project, and so this package.
if not TYPE_CHECKING:
    _MODULES = {
        "Expected": "expected",
        "LogLine": "recorded",
        "Node": "recorded",
        "Point": "recorded",
        "Receiver": "receiver",
        "Telemetry": "memory",
        "span": "expected",
    }
    __getattr__ = lazy_exports(__name__, _MODULES)
    __dir__ = with_exports(__name__, _MODULES)
