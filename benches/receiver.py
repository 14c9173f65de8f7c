"""The receiver for both SDKs: `otel-rs view` in its own process, and a count of what it received."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType

DEADLINE_SECONDS = 30

# The start of a line, and a text that each span, data point or log record in it contains exactly once.
ITEMS = {
    b'{"resourceSpans"': b'"spanId":',
    b'{"resourceMetrics"': b'"timeUnixNano":',
    b'{"resourceLogs"': b'"observedTimeUnixNano":',
}


def wait_until(condition: Callable[[], bool]) -> None:
    """Or until the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


class Receiver:
    """Counts what arrives, so that a run with lost telemetry never prints a result."""

    def __init__(self) -> None:
        self.items = 0
        self._expected = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "otel_rs.cli", "view", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._ports: dict[str, int] = {}
        self._words: list[str] = []
        self._ready = threading.Event()
        for read in (self._count, self._listen):
            threading.Thread(target=read, daemon=True).start()

    def _count(self) -> None:
        for line in self._process.stdout:
            self.items += self.take(line)

    def take(self, line: bytes) -> int:
        """The items of one request."""
        return next((line.count(item) for start, item in ITEMS.items() if line.startswith(start)), 0)

    def _listen(self) -> None:
        for line in self._process.stderr:
            self._words.append(line.decode(errors="replace"))
            if match := re.match(r"otel-rs view: listening on (grpc|http) \S+:(\d+)$", self._words[-1].rstrip()):
                self._ports[match[1]] = int(match[2])
                if len(self._ports) == 2:
                    self._ready.set()
        self._ready.set()

    def endpoint(self, protocol: str, signal: str = "traces") -> str:
        if not self._ready.wait(DEADLINE_SECONDS) or protocol not in self._ports:
            raise SystemExit(f"the receiver did not start: {''.join(self._words).strip()}")
        return f"http://127.0.0.1:{self._ports[protocol]}" + (f"/v1/{signal}" if protocol == "http" else "")

    def expect(self, items: int, sender: str) -> None:
        """Wait for everything that the sender created since the last call; stop the run if the number differs."""
        self._expected += items
        wait_until(lambda: self.items >= self._expected)
        if self.items != self._expected:
            received = self.items - self._expected + items
            raise SystemExit(f"{sender}: {items} items were made and {received} received, so its figures mean nothing")

    def __enter__(self) -> "Receiver":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
