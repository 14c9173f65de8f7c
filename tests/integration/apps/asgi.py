"""The ASGI application with FastAPI, whose instrumentation traces the requests, too."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import tracing

tracing.instrument_if("in the application")

import work  # noqa: E402
from fastapi import FastAPI, Response  # noqa: E402
from opentelemetry import trace  # noqa: E402


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    if "FLUSH_AT_SHUTDOWN" in os.environ:  # as programs do with other SDKs
        await asyncio.to_thread(trace.get_tracer_provider().force_flush, 5_000)


app = FastAPI(lifespan=lifespan)


@app.get("/")
def answer() -> Response:  # runs in a thread of the server's pool
    return Response(work.answer(), media_type="application/json")


if tracing.configured("in the application"):
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    FastAPIInstrumentor.instrument_app(app)
