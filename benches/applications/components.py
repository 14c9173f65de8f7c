"""Whose time it is: the components of a traced request, told from the frames of a stack."""

import linecache
import re
from typing import NamedTuple

APPLICATION = "the program"

# The first pattern that a file's path matches. What none matches (the standard library, wrapt) works for its caller.
COMPONENTS = [
    (re.compile(r"/opentelemetry/instrumentation/(\w+)/"), r"contrib \1"),
    (re.compile(r"/opentelemetry/(instrumentation|util/http|semconv)/"), "contrib, shared"),
    (re.compile(r"/opentelemetry/(sdk|exporter|proto)/"), "SDK"),
    (re.compile(r"/opentelemetry/"), "API"),
    (re.compile(r"/otel_rs/.*\.py$"), "otel-rs, Python"),
    (re.compile(r"_native[^/]*\.so$"), "otel-rs, native"),
]

# Where an instrumentation goes on with what it wraps: what is called from there is the program's again. All else that
# an instrumentation calls of Flask or requests (flask.request.url), it calls for itself.
WRAPPED = re.compile(
    r"""
      /applications/\w+\.py
    | /flask/app\.py .* \s (wsgi_app|full_dispatch_request|finalize_request|process_response|do_teardown_request)$
    | /requests/sessions\.py .* \s (send|request)$
    | /urllib3/connectionpool\.py .* \s urlopen$
    | /urllib/request\.py .* \s _?open$
    | /http/client\.py
    | /logging/__init__\.py .* \s (callHandlers|__init__)$
    | /django/core/handlers/
    | /(starlette|fastapi)/ .* \s (__call__|app|send|_send|sender|wrapped_app|handle|run_endpoint_function)$
    | /(httpx|httpcore)/ .* \s (handle_async_request|handle_request)$
    | /redis/ .* \s (execute_command|_execute_command|execute)$
    """,
    re.VERBOSE,
)
# Wrapped functions without a frame, because they are written in C: told by the line that calls them.
WRAPPED_IN_C = re.compile(r"\bquery_method\(")


class Frame(NamedTuple):
    function: str
    path: str
    line: int


class Owner(NamedTuple):
    """The component and its function for which something is done, and the line that does it."""

    component: str
    frame: Frame


PROGRAM = Owner(APPLICATION, Frame("", "", 0))


def component(path: str) -> str | None:
    for pattern, name in COMPONENTS:
        if match := pattern.search(path):
            return match.expand(name)
    return None


def source(frame: Frame) -> str:
    return linecache.getline(frame.path, frame.line).strip()


def owner(stack: list[Frame]) -> Owner:
    """Whom the innermost frame works for; the outermost frame comes first."""
    current = PROGRAM
    for frame in stack:
        name = component(frame.path)
        if name:
            current = Owner(name, frame)
        elif WRAPPED.search(f"{frame.path} {frame.function.rpartition('.')[2]}"):
            current = PROGRAM
    if stack[-1] == current.frame and WRAPPED_IN_C.search(source(stack[-1])):
        return PROGRAM
    return current
