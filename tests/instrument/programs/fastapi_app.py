"""Requests of many kinds to a FastAPI application, with routes of every kind."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from recorded import print_recorded, seen, set_up

OPTIONS = sys.argv[1:]
set_up(ALWAYS_OFF if "unsampled" in OPTIONS else None)

import fastapi  # noqa: E402
from fastapi.responses import PlainTextResponse, StreamingResponse  # noqa: E402
from opentelemetry import trace  # noqa: E402
from opentelemetry.instrumentation import fastapi as contrib  # noqa: E402
from starlette.convertors import Convertor, register_url_convertor  # noqa: E402
from starlette.routing import Host, Match, Mount, Route, Router  # noqa: E402


class LowerCase(Convertor[str]):
    regex = "[a-z]+"

    def convert(self, value: str) -> str:
        seen.append(["converted", value])
        return value

    def to_string(self, value: str) -> str:
        return value


class OwnRoute(Route):
    def matches(self, scope: Any) -> tuple[Match, Any]:
        match, child = super().matches(scope)
        return (Match.NONE if b"x-not-me" in dict(scope["headers"]) else match), child


register_url_convertor("lower", LowerCase())
routes_matches = Route.matches


def own_matches(route: Route, scope: Any) -> tuple[Match, Any]:
    match, child = routes_matches(route, scope)
    return (Match.NONE if scope["path"] == "/api/things/a" else match), child


if "own matching from the start" in OPTIONS:
    Route.matches = own_matches  # type: ignore[method-assign]


def request_hook(span: trace.Span, scope: dict[str, Any]) -> None:
    seen.append(["request hook", span.is_recording(), scope["path"]])


hooks: dict[str, Any] = {"server_request_hook": request_hook} if "hooks" in OPTIONS else {}
contrib.FastAPIInstrumentor().instrument(**hooks)
app = fastapi.FastAPI()
router = fastapi.APIRouter(prefix="/api")


@app.get("/items/{number}")
async def item(number: int) -> int:
    seen.append(["current", getattr(trace.get_current_span(), "name", None)])
    return number


@app.post("/items/{number}")
async def change(number: int, body: dict[str, int]) -> dict[str, int]:
    return body


@app.put("/only-put")
def put() -> str:
    return "threaded"


@app.get("/broken")
async def broken() -> None:
    raise ValueError("of the handler")


@app.get("/refused")
async def refused(tasks: fastapi.BackgroundTasks) -> None:
    raise fastapi.HTTPException(418)


@app.get("/later")
async def later(tasks: fastapi.BackgroundTasks) -> None:
    tasks.add_task(seen.append, "later")


@app.get("/stream")
async def stream() -> StreamingResponse:
    return StreamingResponse(iter(["a", "b"]))


@router.get("/things/{thing}")
async def thing(thing: str) -> str:
    return thing


@app.websocket("/socket/{name}")
async def socket(websocket: fastapi.WebSocket, name: str) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


async def plain(request: Any) -> PlainTextResponse:
    return PlainTextResponse("plain")


class OwnApiRoute(fastapi.routing.APIRoute):
    def matches(self, scope: Any) -> tuple[Match, Any]:
        seen.append(["own route", self.path])
        return super().matches(scope)


class OwnPlainRoute(Route):
    pass


nested = fastapi.APIRouter(prefix="/nested", route_class=OwnApiRoute)
nested.get("/things/{thing}")(thing)
nested.put("/things/{thing}")(thing)
nested.get("/lower/{word:lower}")(thing)
nested.websocket("/socket/{name}")(socket)
deeper = fastapi.APIRouter()
deeper.get("/deeper/{number}")(item)
deeper.post("/deeper/{number}")(item)
deeper.get("/refused")(refused)
nested.include_router(deeper, prefix="/twice")
nested.include_router(deeper, prefix="/again")
nested.routes += [
    Route("/plain/{name}", plain),
    OwnPlainRoute("/own/{name}", plain),
    Mount("/mount", routes=[Route("/{name}", plain)]),
    Host("nested.example", Router([Route("/nested/hosted", plain)])),
]

inner = fastapi.FastAPI()
inner.get("/inner/{number}")(item)
app.include_router(router)
app.include_router(nested)
app.include_router(nested, prefix="/v2")
nested.get("/late/{thing}")(thing)
app.mount("/mounted", inner)
app.router.routes += [
    Route("/lower/{word:lower}", plain),
    Route("/anything/{path:path}", plain, methods=["GET"]),
    OwnRoute("/own/{name}", plain),
    Route("/own/{other}", plain),
    Mount("/under", routes=[Route("/{name}", plain)]),
    Host("other.example", Router([Route("/hosted", plain)])),
]


async def request(path: str, method: str = "GET", kind: str = "http", body: bytes = b"", **changes: Any) -> None:
    headers = [(b"host", changes.pop("host", b"shop.example:8000")), (b"user-agent", b"Mozilla/5.0")]
    headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    headers += changes.pop("more", [])
    scope = {
        **{"type": kind, "http_version": "1.1", "server": ("127.0.0.1", 8000), "client": ("10.0.0.7", 41234)},
        **{"scheme": "http", "method": method, "root_path": "", "query_string": b"", "path": path},
        **{"raw_path": path.encode(), "headers": headers, **changes},
    }
    waiting: list[Any] = [{"type": "http.request", "body": body}]
    if kind == "websocket":
        waiting = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hello"}]
    answers: list[Any] = []

    async def receive() -> Any:
        return waiting.pop(0) if waiting else await asyncio.Event().wait()

    async def send(message: dict[str, Any]) -> None:
        answers.append([message["type"], message.get("status"), repr(message.get("body"))])

    try:
        await app(scope, receive, send)
    except Exception as error:
        answers.append(repr(error))
    seen.append([path, method, answers])


async def main() -> None:
    for path in (
        *("/items/7", "/items/x", "/nothing", "/broken", "/refused", "/later", "/stream", "/api/things/a"),
        *("/mounted/inner/7", "/mounted/nothing", "/lower/abc", "/lower/ABC", "/anything/a/b", "/own/a"),
        *("/under/a", "/hosted", "/docs", "/openapi.json", "/only-put", "/", ""),
    ):
        await request(path)
    for prefix in ("/nested", "/v2/nested"):
        for path in (
            *("/things/a", "/lower/abc", "/lower/ABC", "/twice/deeper/7", "/again/deeper/x", "/again/refused"),
            *("/plain/a", "/own/a", "/mount/a", "/hosted", "/late/a", "/nothing", "/twice/nothing", ""),
        ):
            await request(prefix + path)
        await request(f"{prefix}/things/a", "PUT")
        await request(f"{prefix}/things/a", "DELETE")
        await request(f"{prefix}/twice/deeper/7", "PATCH")
        await request(f"{prefix}/hosted", host=b"nested.example")
        await request(f"{prefix}/socket/a", kind="websocket")
        await request(f"{prefix}/things/a", kind="websocket")
    await request("/items/7", "POST", body=b'{"a": 1}')
    await request("/items/7", "DELETE")
    await request("/items/7", "get")
    await request("/only-put", "PUT")
    await request("/anything/a", "POST")
    await request("/hosted", host=b"other.example")
    await request("/own/a", more=[(b"x-not-me", b"1")])
    await request("/root/items/7", root_path="/root")
    await request("/items/7", root_path="/root")
    await request("/socket/a", kind="websocket")
    await request("/items/7", kind="websocket")
    if "own matching" in OPTIONS:
        Route.matches = own_matches  # type: ignore[method-assign]
        await request("/items/7")
        await request("/api/things/a")
        await request("/api/things/b")


asyncio.run(main())
print_recorded(details=contrib._get_route_details)
