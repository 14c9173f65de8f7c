"""Requests to an ASGI application without a server. The scope is what uvicorn makes of a browser's request."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

HEADERS = [
    (b"host", b"shop.example:8000"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"),
    (b"accept", b"application/json"),
    (b"accept-language", b"en-US,en;q=0.5"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"connection", b"keep-alive"),
]

SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "http_version": "1.1",
    "server": ("127.0.0.1", 8000),
    "client": ("10.0.0.7", 41234),
    "scheme": "http",
    "method": "GET",
    "root_path": "",
    "query_string": b"",
}

Application = Callable[[dict[str, Any], Callable[..., Any], Callable[..., Any]], Awaitable[None]]


class Driver:
    """Keeps one event loop, in which the application's clients keep their connections."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._runner = asyncio.Runner()

    def __call__(self, first: int, count: int) -> list[int]:
        return self._runner.run(self._drive(first, count))

    async def _drive(self, first: int, count: int) -> list[int]:
        latencies = []
        for number in range(first, first + count):
            path = f"/orders/{number}"
            scope = {**SCOPE, "headers": list(HEADERS), "path": path, "raw_path": path.encode(), "state": {}}
            begin = time.perf_counter_ns()
            await self._request(scope)
            latencies.append(time.perf_counter_ns() - begin)
        return latencies

    async def _request(self, scope: dict[str, Any]) -> None:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._application(scope, receive, send)
        if sent[0]["status"] != 200 or b"12.5" not in b"".join(each.get("body", b"") for each in sent):
            raise SystemExit(f"the application answers {sent}")
