"""What is recorded of the same requests, by our functions and by contrib's own, is the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..integration.services import postgresql

PROGRAMS = Path(__file__).parent / "programs"
CAPTURED = {
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": "x-.*",
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE": "content-.*",
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST": "accept.*",
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE": "content-.*",
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS": ".*custom.*,.*encoding",
}
MODES = {
    "old": {},
    "new": {"OTEL_SEMCONV_STABILITY_OPT_IN": "http,database"},
    "both": {"OTEL_SEMCONV_STABILITY_OPT_IN": "http/dup,database/dup"},
}
OPTIONS: dict[str, list[tuple[tuple[str, ...], dict[str, str]]]] = {
    "asgi_app.py": [
        ((), {}),
        (("replaced",), {}),
        (("lists",), {}),
        (("none excluded",), {}),
        (("hooks", "propagator"), {}),
        (("excluded", "details"), {}),
        (("no message spans", "otlp"), {}),
        (("no message spans", "nameless"), {}),
        (("sampler",), {}),
        (("unsampled",), {}),
        ((), {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "4"}),
        ((), CAPTURED),
        ((), {"OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS": "true"}),
    ],
    "asgi_tasks.py": [
        ((), {}),
        (("hooks",), {}),
        (("receive alone",), {}),
        (("otlp",), {}),
    ],
    "django_shop.py": [
        ((), {}),
        (("replaced",), {}),
        (("lists",), {}),
        (("otlp",), {}),
        (("hooks", "propagator"), {}),
        (("excluded", "own pattern"), {}),
        (("sampler", "own name"), {}),
        (("unsampled",), {}),
        ((), {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "4"}),
        (("otlp",), {"OTEL_PYTHON_DJANGO_TRACED_REQUEST_ATTRS": "path_info,content_type,none"}),
        ((), CAPTURED),
        (("otlp",), CAPTURED),
        (("otlp",), {**CAPTURED, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "11"}),
        ((), {"OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS": "true"}),
    ],
    "fastapi_app.py": [
        ((), {}),
        (("hooks",), {}),
        (("unsampled",), {}),
        (("own matching",), {}),
        (("own matching from the start",), {}),
        ((), {"OTEL_PYTHON_FASTAPI_EXCLUDED_URLS": "items,things"}),
        ((), CAPTURED),
    ],
    "flask_shop.py": [
        ((), {}),
        (("replaced",), {}),
        (("lists",), {}),
        (("otlp",), {}),
        (("hooks", "propagator"), {}),
        (("excluded", "no commenter"), {}),
        (("sampler",), {}),
        ((), {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "4"}),
        ((), CAPTURED),
        ((), {"OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS": "true"}),
    ],
    "grpc_calls.py": [
        ((), {}),
        (("otlp",), {}),
        (("hooks",), {}),
        (("filter",), {}),
        (("unsampled",), {}),
        ((), {"OTEL_PYTHON_GRPC_EXCLUDED_SERVICES": "other.Service,shop.Shop"}),
        ((), {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "4"}),
    ],
    "httpx_client.py": [
        ((), {}),
        (("replaced",), {}),
        (("lists",), {}),
        (("hooks",), {}),
        (("async hook",), {}),
        (("propagator",), {}),
        (("otlp",), {}),
        ((), {"OTEL_PROPAGATORS": "baggage,tracecontext"}),
        ((), {"OTEL_PROPAGATORS": "none"}),
        ((), {"OTEL_PYTHON_HTTPX_EXCLUDED_URLS": "excluded"}),
        ((), {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "4"}),
        ((), CAPTURED),
    ],
    "redis_shop.py": [
        ((), {}),
        (("otlp",), {}),
        (("hooks",), {}),
        (("unsampled",), {}),
    ],
    "requests_client.py": [
        ((), {}),
        (("replaced",), {}),
        (("lists",), {}),
        (("otlp",), {}),
        (("http.client", "old protocol"), {}),
        (("hooks", "http.client"), {}),
        (("excluded",), {}),
        ((), CAPTURED),
    ],
    "celery_shop.py": [
        ((), {}),
        (("otlp",), {}),
        (("links",), {}),
        (("unsampled",), {}),
    ],
    "dbapi_shop.py": [
        ((), {}),
        (("otlp",), {}),
        (("unsampled",), {}),
        (("parameters",), {}),
        (("commenter",), {}),
        (("commenter", "attribute commenter"), {}),
    ],
    "sqlalchemy_shop.py": [
        ((), {}),
        (("otlp",), {}),
        (("unsampled",), {}),
        (("commenter",), {}),
        (("commenter", "attribute commenter"), {}),
    ],
    "urllib_client.py": [
        ((), {}),
        (("replaced",), {}),
        (("lists",), {}),
        (("otlp", "old protocol"), {}),
        (("hooks",), {}),
        (("excluded",), {}),
        (("unsampled",), {}),
        ((), CAPTURED),
        ((), {"OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS": "true"}),
    ],
    "urllib3_client.py": [
        ((), {}),
        (("otlp", "old protocol"), {}),
        (("http.client",), {}),
        (("hooks", "http.client"), {}),
        (("filter",), {}),
        (("excluded",), {}),
        (("wrapped",), {}),
        (("unsampled",), {}),
        ((), CAPTURED),
        ((), {"OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS": "true"}),
    ],
    "wsgi_app.py": [
        ((), {}),
        (("replaced",), {}),
        (("lists",), {}),
        (("otlp",), {}),
        (("hooks",), {}),
        (("own",), {}),
        ((), CAPTURED),
        ((), {"OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS": "true"}),
    ],
}
CASES = [
    pytest.param(
        program, arguments, {**MODES[mode], **variables}, id="-".join([program, mode, *arguments, *variables][:5])
    )
    for program, options in OPTIONS.items()
    # The attributes of gRPC's calls have one name each.
    for mode in (["old"] if program == "grpc_calls.py" else MODES)
    for number, (arguments, variables) in enumerate(options)
]
STATEMENTS: list[tuple[tuple[str, ...], str]] = [
    *[(("otlp",) if mode == "both" else (), mode) for mode in MODES],
    (("parameters",), "old"),
    (("unsampled",), "old"),
]


def recorded(program: str, arguments: tuple[str, ...], variables: dict[str, str], natively: bool) -> dict[str, Any]:
    variables = {**os.environ, **variables, "OTEL_RS_NATIVE_INSTRUMENTATIONS": str(natively)}
    finished = subprocess.run(
        [sys.executable, PROGRAMS / program, *arguments], env=variables, capture_output=True, text=True, timeout=60
    )
    assert finished.returncode == 0, finished.stderr
    result: dict[str, Any] = json.loads(finished.stdout)
    natives = set(result.pop("native").values())
    assert all(module.startswith("otel_rs.") == natively for module in natives), natives
    return result


@pytest.mark.parametrize(("program", "arguments", "variables"), CASES)
def test_the_same_is_recorded(program: str, arguments: tuple[str, ...], variables: dict[str, str]) -> None:
    ours = recorded(program, arguments, variables, natively=True)
    theirs = recorded(program, arguments, variables, natively=False)
    has_few = "unsampled" in arguments or "OTEL_PYTHON_GRPC_EXCLUDED_SERVICES" in variables
    assert len(theirs["spans"]) > 10 or has_few
    for part in theirs:
        assert ours[part] == theirs[part]


@pytest.fixture(scope="module")
def database() -> Iterator[tuple[str, str]]:
    with postgresql() as (sockets, port):
        yield sockets, str(port)


@pytest.mark.parametrize(("arguments", "mode"), STATEMENTS)
def test_the_same_is_recorded_of_asyncpg(arguments: tuple[str, ...], mode: str, database: tuple[str, str]) -> None:
    test_the_same_is_recorded("asyncpg_shop.py", (*database, *arguments), MODES[mode])
