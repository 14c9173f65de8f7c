"""The API's functions for contexts do natively what they do in Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, propagation

import otel_rs

TAKEN_BEFORE = {
    name: getattr(module, name)
    for module, names in (
        (context, ("get_current", "attach", "detach", "get_value", "set_value")),
        (propagation, ("get_current_span", "set_span_in_context")),
    )
    for name in names
}


@pytest.fixture
def native() -> Iterator[None]:
    otel_rs.install()
    assert not hasattr(context.get_current, "__code__")
    yield
    otel_rs.uninstall()
    assert hasattr(context.get_current, "__code__")


class Mapping:
    """Has what upstream asks a context for."""

    def get(self, key: str) -> str:
        return f"mine of {key}"

    def copy(self) -> dict[str, str]:
        return {"mine": "copied"}


SPAN = trace.NonRecordingSpan(trace.INVALID_SPAN_CONTEXT)
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("get_current", (), {}),
    ("get_current", (1,), {}),
    ("attach", (), {}),
    ("get_value", ("key",), {}),
    ("get_value", ("none",), {}),
    ("get_value", (), {"key": "key", "context": None}),
    ("get_value", ("key", Context({"key": 2})), {}),
    ("get_value", ("key", Context()), {}),
    ("get_value", ("key", {"key": 3}), {}),
    ("get_value", ("key", Mapping()), {}),
    ("get_value", ([],), {}),
    ("get_value", (), {}),
    ("get_value", ("key", 7), {}),
    ("set_value", ("new", 1), {}),
    ("set_value", ("new", 1, Context({"key": 2})), {}),
    ("set_value", ("new", 1, {"key": 2}), {}),
    ("set_value", ("new", 1, Mapping()), {}),
    ("set_value", ("new",), {"value": 1, "context": Context()}),
    ("set_value", ("new",), {}),
    ("set_value", ([], 1), {}),
    ("get_current_span", (), {}),
    ("get_current_span", (None,), {}),
    ("get_current_span", (Context({propagation._SPAN_KEY: SPAN}),), {}),
    ("get_current_span", (Context({propagation._SPAN_KEY: INVALID_SPAN}),), {}),
    ("get_current_span", (Context({propagation._SPAN_KEY: None}),), {}),
    ("get_current_span", (Context({propagation._SPAN_KEY: "no span"}),), {}),
    ("get_current_span", (), {"context": Mapping()}),
    ("get_current_span", (1, 2), {}),
    ("set_span_in_context", (SPAN,), {}),
    ("set_span_in_context", (None,), {}),
    ("set_span_in_context", (SPAN, Context({"key": 2})), {}),
    ("set_span_in_context", (), {}),
]


def outcome(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        result = function(*args, **kwargs)
    except Exception as error:
        return type(error), str(error)
    return type(result), result


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize(("name", "args", "kwargs"), CALLS)
def test_a_call_does_the_same(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    token = context.attach(context.set_value("key", 1))
    native = getattr(trace if hasattr(trace, name) else context, name)
    assert native is not TAKEN_BEFORE[name]
    assert outcome(native, args, kwargs) == outcome(TAKEN_BEFORE[name], args, kwargs)
    context.detach(token)


@pytest.mark.usefixtures("native")
def test_native_functions_and_upstreams_share_contexts() -> None:
    token = TAKEN_BEFORE["attach"](Context({"a": 1}))
    assert context.get_value("a") == 1
    inner = context.attach(context.set_value("b", 2))
    assert type(inner) is type(token)
    assert TAKEN_BEFORE["get_current"]() == {"a": 1, "b": 2}
    TAKEN_BEFORE["detach"](inner)
    context.detach(token)
    assert context.get_current() == {}


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("what", ["used token", "no token", "no argument"])
def test_what_cannot_be_detached_is_logged_by_the_api(what: str, caplog: pytest.LogCaptureFixture) -> None:
    token = context.attach(Context())
    context.detach(token)
    if what == "no argument":
        with pytest.raises(TypeError, match="token"):
            context.detach()  # type: ignore[call-arg]
        return
    context.detach(token if what == "used token" else None)  # type: ignore[arg-type]
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("opentelemetry.context", "Failed to detach context")
    assert record.exc_info


@pytest.mark.usefixtures("native")
def test_a_runtime_that_a_program_puts_in_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    class Runtime:
        def get_current(self) -> Context:
            return Context({"whose": "the program's"})

        def attach(self, context: Context) -> str:
            return "token"

    monkeypatch.setattr(context, "_RUNTIME_CONTEXT", Runtime())
    assert context.get_value("whose") == "the program's"
    assert context.attach(Context()) == "token"
    assert context.set_value("more", 1) == {"whose": "the program's", "more": 1}


WHOSE = """
import json
import otel_rs
from opentelemetry import baggage, context, trace
otel_rs.install()
functions = (context.attach, trace.get_current_span, baggage.get_value)
print(json.dumps([hasattr(function, "__code__") for function in functions]))
"""


@pytest.mark.parametrize(
    ("variables", "are_upstreams"),
    [
        ({}, False),
        ({"OTEL_RS_NATIVE_INSTRUMENTATIONS": "false"}, True),
        ({"OTEL_RS_NATIVE_INSTRUMENTATIONS": "flask"}, True),
    ],
)
def test_the_setting_switches_them(variables: dict[str, str], are_upstreams: bool) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", WHOSE], env={**os.environ, **variables}, capture_output=True, text=True, timeout=60
    )
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == [are_upstreams] * 3


ANOTHER_RUNTIME = """
import opentelemetry.context
class Runtime(type(opentelemetry.context._RUNTIME_CONTEXT)):
    pass
opentelemetry.context._RUNTIME_CONTEXT = Runtime()
import otel_rs
otel_rs.install()
print(hasattr(opentelemetry.context.attach, "__code__"))
"""


def test_another_runtime_keeps_the_functions_of_the_api() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", ANOTHER_RUNTIME], capture_output=True, text=True, timeout=60, check=True
    )
    assert finished.stdout.strip() == "True"
