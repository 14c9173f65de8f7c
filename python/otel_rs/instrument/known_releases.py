"""Which releases of modules are known, contrib's above all: those whose code was read when ours was written."""

from __future__ import annotations

import hashlib
import logging
import sys
from functools import cache

_logger = logging.getLogger("otel_rs")

# SHA-256 of the module's file, first 16 digits: of contrib 0.66b0 to 0.66b2, the API 1.45.0 to 1.45.2, requests 2.34.2,
# httpx 0.28.1, FastAPI 0.162.5.
KNOWN = {
    "fastapi.routing": "ca8791eabd442068",
    "httpx._models": "e3ffc6bb2bf580bc",
    "httpx._urlparse": "640987e3b38d7e4c",
    "httpx._urls": "757f7d551d4348e1",
    "opentelemetry.context": "a979c3f42ea14c0e",
    "opentelemetry.context.contextvars_context": "58e4df8b71ce6ff3",
    "opentelemetry.instrumentation._semconv": "1f89514a8f5441bf",
    "opentelemetry.instrumentation.asgi": "911003fcdbf0eb7e",
    "opentelemetry.instrumentation.asyncpg": "529dc6f9e58827a3",
    "opentelemetry.instrumentation.celery": "0137f92d73472df4",
    "opentelemetry.instrumentation.celery.utils": "2cd9f15cf286e861",
    "opentelemetry.instrumentation.dbapi": "e3b939200f65e617",
    "opentelemetry.instrumentation.django.middleware.otel_middleware": "2ffaa593eeb93c87",
    "opentelemetry.instrumentation.fastapi": "d8526a471628b660",
    "opentelemetry.instrumentation.flask": "b0b0a1c8250a0168",
    "opentelemetry.instrumentation.grpc._client": "0f5d59eebd7454d1",
    "opentelemetry.instrumentation.grpc._server": "19af2974e31a6b39",
    "opentelemetry.instrumentation.grpc._utilities": "849db994dd668479",
    "opentelemetry.instrumentation.httpx": "1c37df2bd7602a60",
    "opentelemetry.instrumentation.propagators": "4c133edd6935033c",
    "opentelemetry.instrumentation.redis": "e4a6ac2ce71c03a9",
    "opentelemetry.instrumentation.redis.util": "1df8e5f2828abfd5",
    "opentelemetry.instrumentation.requests": "298afe23f3ea9876",
    "opentelemetry.instrumentation.sqlalchemy": "f5b3c75bd71dc8f4",
    "opentelemetry.instrumentation.sqlalchemy.engine": "fdea18db48702943",
    "opentelemetry.instrumentation.starlette": "03e7d10ae2f948b4",
    "opentelemetry.instrumentation.urllib": "50bd972daf80e168",
    "opentelemetry.instrumentation.urllib3": "9474f6d4535b2aff",
    "opentelemetry.instrumentation.utils": "42e337c6336ed8a7",
    "opentelemetry.instrumentation.wsgi": "776960092571048a",
    "opentelemetry.trace.propagation": "7f064ececa407f1a",
    "opentelemetry.util.http": "fc78fd211c8f4373",
    "opentelemetry.util.http.constants": "7652017adf43c02f",
    "opentelemetry.util.http.httplib": "4a92bc3269053c6a",
    "requests.structures": "ba9460c39078f25e",
}


def fingerprint(file: str) -> str | None:
    """Of a module's source; None where there is none to read."""
    try:
        with open(file, "rb") as source:
            return hashlib.sha256(source.read().replace(b"\r\n", b"\n")).hexdigest()[:16]
    except OSError:
        return None


@cache
def _is_known(module: str, file: str | None) -> bool:
    is_known = file is not None and fingerprint(file) == KNOWN.get(module)
    if not is_known:
        _logger.debug("%s is of a release that otel-rs does not know: its own code runs.", module)
    return is_known


def are_known(*modules: str) -> bool:
    """Of imported modules."""
    return all(_is_known(module, getattr(sys.modules.get(module), "__file__", None)) for module in modules)
