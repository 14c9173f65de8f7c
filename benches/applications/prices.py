"""The service that the applications ask for prices, in a process of its own.

    python prices.py

As a program it is that service, and prints its port: one answer to every request, on connections that stay open.
"""

import asyncio
import subprocess
import sys
from types import TracebackType

VARIABLE = "BENCH_PRICES_URL"
BODY = b'{"price": 12.5}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Answers(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        # The requests have no body.
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        self._transport.write(ANSWER * len(requests))


class Prices:
    """Starts and ends it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
        self.environment = {VARIABLE: f"http://127.0.0.1:{self._process.stdout.readline().strip()}"}

    def __enter__(self) -> "Prices":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
