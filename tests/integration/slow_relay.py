"""A relay to the Collector that delays every request, so that an export is always running."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

DELAY_SECONDS = 0.02


@contextlib.contextmanager
def slow_relay(port: int) -> Iterator[int]:
    """Yields a port that forwards to `port`."""
    relay = _Relay(port)
    thread = threading.Thread(target=relay.run)
    thread.start()
    try:
        relay.listening.wait(timeout=30)
        yield relay.port
    finally:
        relay.end()
        thread.join()


class _Relay:
    def __init__(self, onward_port: int) -> None:
        self.port = 0
        self.listening = threading.Event()
        self._onward_port = onward_port
        self._writers: set[asyncio.StreamWriter] = set()

    def run(self) -> None:
        asyncio.run(self._serve())

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.listening.set()
        await self._ended.wait()
        server.close()
        # Each connection ends when its streams end.
        while self._writers:
            for writer in self._writers:
                writer.transport.abort()
            await asyncio.sleep(0.001)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self._onward_port)
            self._writers.add(onward_writer)
            try:
                there = self._pass_on(reader, onward_writer, DELAY_SECONDS)
                await asyncio.gather(there, self._pass_on(onward_reader, writer, 0))
            finally:
                await self._close(onward_writer)
        except OSError:
            pass  # the Collector has exited; the program sees the end of the connection
        finally:
            await self._close(writer)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await asyncio.sleep(delay)
                writer.write(data)
                await writer.drain()
        # Both directions end together, as when a process exits.
        writer.close()

    async def _close(self, writer: asyncio.StreamWriter) -> None:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        self._writers.discard(writer)
