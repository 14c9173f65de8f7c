"""A variant of an application under the server that it has in production, and the browsers that ask it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from child import APPLICATIONS, HERE, command
from variants import Variant

CONNECTIONS = 4
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
HEADERS = (
    "Host: shop.example:8000\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0\r\n"
    "Accept: application/json\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\n\r\n"
)
GUNICORN = ["-m", "gunicorn", "--worker-class", "gthread", "--threads", str(CONNECTIONS), "--bind", "fd://{}"]
UVICORN = ["-m", "uvicorn", "--no-access-log", "--log-level", "warning", "--fd", "{}"]
SERVERS = {"flask": GUNICORN, "django": GUNICORN, "fastapi": UVICORN}
# On SIGTERM uvicorn ends in a way that leaves the stock SDK no time to send what it has.
END = {"flask": signal.SIGTERM, "django": signal.SIGTERM, "fastapi": signal.SIGINT}


class Server:
    """Its figures are those of all its processes; which thread does what is not seen from outside."""

    def __init__(self, variant: Variant, application: str, environment: dict[str, str], log: Path) -> None:
        self.variant = variant
        self.requests = 0
        self.latencies: list[int] = []
        self._log = log
        self._end = END[application]
        listening = socket.create_server(("127.0.0.1", 0))
        self._port = listening.getsockname()[1]
        server = [each.format(listening.fileno()) for each in SERVERS[application]]
        with listening, log.open("w") as output:
            self._process = subprocess.Popen(
                command(variant, sys.executable, *server, f"{APPLICATIONS[application]}:application"),
                cwd=HERE,
                env=environment,
                stdout=output,
                stderr=output,
                pass_fds=[listening.fileno()],
            )

    def do(self, count: int) -> Any:
        process = cpu(self._process.pid)
        latencies = asyncio.run(self._ask(count))
        self.requests += count
        return {"process": process, "thread": 0, "latencies": latencies}

    async def _ask(self, count: int) -> list[int]:
        latencies: list[int] = []
        numbers = iter(range(self.requests, self.requests + count))
        try:
            await asyncio.gather(*(self._browse(numbers, latencies) for _ in range(CONNECTIONS)))
        except OSError as error:
            raise SystemExit(f"{self.variant.name}: {error}\n{self._log.read_text()}") from None
        return latencies

    async def _browse(self, numbers: Any, latencies: list[int]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            for number in numbers:
                begin = time.perf_counter_ns()
                writer.write(f"GET /orders/{number} HTTP/1.1\r\n{HEADERS}".encode())
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(length)
                latencies.append(time.perf_counter_ns() - begin)
                if b" 200 " not in head[:15] or b"12.5" not in body:
                    raise SystemExit(f"{self.variant.name} answers {head!r} {body!r}\n{self._log.read_text()}")
        except asyncio.IncompleteReadError as error:
            raise OSError(f"the connection ended after {error.partial!r}") from None
        finally:
            writer.close()

    def flush(self) -> int:
        """It cannot be told to. What it has not sent yet stays out of the figures."""
        return cpu(self._process.pid)

    def collect(self) -> int:
        return 0

    def end(self) -> None:
        self._process.send_signal(self._end)
        self._process.wait(60)

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.end()


def cpu(pid: int) -> int:
    """Nanoseconds of a process and its children, user and system, as Linux counts them."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return ticks * 1_000_000_000 // TICKS_A_SECOND + sum(cpu(int(child)) for child in children)
