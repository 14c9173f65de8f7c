"""What a program puts in the place of a part of the propagators is called."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import MethodDescriptorType
from typing import Any

import pytest
from opentelemetry import baggage, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators import textmap
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import DefaultGetter, TextMapPropagator, default_getter, default_setter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import otel_rs

pytestmark = pytest.mark.sanitize

TRACE_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CARRIER = {"traceparent": TRACE_PARENT, "tracestate": "a=1", "baggage": "k=v"}


def parent(context: Context) -> int:
    return trace.get_current_span(context).get_span_context().span_id


@pytest.fixture
def own_global() -> Iterator[Callable[[TextMapPropagator], None]]:
    before = propagate.get_global_textmap()
    yield propagate.set_global_textmap
    propagate.set_global_textmap(before)


def test_propagators_that_exist_and_classes_that_derive_from_them_are_native() -> None:
    for cls in (CompositePropagator, TraceContextTextMapPropagator, W3CBaggagePropagator):
        assert isinstance(cls.extract, MethodDescriptorType)
        assert isinstance(type("Own", (cls,), {}).inject, MethodDescriptorType)
    assert type(propagate.get_global_textmap()) is CompositePropagator
    assert type(propagate.extract).__name__ == "builtin_function_or_method"


def test_a_class_that_overrides_a_method(own_global: Callable[[TextMapPropagator], None]) -> None:
    class Own(TraceContextTextMapPropagator):
        def extract(self, carrier: Any, context: Any = None, getter: Any = default_getter) -> Context:
            return Context({**super().extract(carrier, context, getter), "own": 1})

    own_global(CompositePropagator([Own(), W3CBaggagePropagator()]))
    context = propagate.extract(CARRIER)
    assert (parent(context), context["own"], baggage.get_all(context)) == (0xB7AD6B7169203331, 1, {"k": "v"})


def test_a_propagator_of_another_kind_stands_beside_them(own_global: Callable[[TextMapPropagator], None]) -> None:
    class Other(TextMapPropagator):
        def extract(self, carrier: Any, context: Any = None, getter: Any = default_getter) -> Context:
            seen.append(context)
            return Context({**context, "other": getter.get(carrier, "tracestate")})

        def inject(self, carrier: Any, context: Any = None, setter: Any = default_setter) -> None:
            setter.set(carrier, "other", "1")

        @property
        def fields(self) -> set[str]:
            return {"other"}

    seen: list[Context] = []
    own_global(CompositePropagator([TraceContextTextMapPropagator(), Other(), W3CBaggagePropagator()]))
    context = propagate.extract(CARRIER)
    assert context["other"] == ["a=1"]
    assert baggage.get_all(context) == {"k": "v"}
    # The others' contexts do not change after they have them.
    assert not baggage.get_all(seen[0])
    carrier: dict[str, str] = {}
    propagate.inject(carrier, context)
    assert carrier == {**CARRIER, "other": "1"}
    own_global(Other())
    propagate.inject(carrier := {}, context)
    assert carrier == {"other": "1"}
    assert propagate.extract(CARRIER, Context())["other"] == ["a=1"]


@pytest.mark.parametrize("on", ["the class", "the object"])
def test_names_and_limits(on: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = TraceContextTextMapPropagator(), W3CBaggagePropagator()
    both = CompositePropagator([one, two])
    assert parent(both.extract(CARRIER))
    monkeypatch.setattr(type(one) if on == "the class" else one, "_TRACEPARENT_HEADER_NAME", "x-parent")
    monkeypatch.setattr(type(two) if on == "the class" else two, "_MAX_PAIR_LENGTH", 2)
    context = both.extract({**CARRIER, "x-parent": TRACE_PARENT.replace("b7ad", "0001")})
    assert parent(context) == 0x00016B7169203331
    assert not baggage.get_all(context)
    both.inject(carrier := {}, context)
    assert "x-parent" in carrier
    monkeypatch.undo()
    assert parent(both.extract(CARRIER)) == 0xB7AD6B7169203331
    assert baggage.get_all(both.extract(CARRIER)) == {"k": "v"}


@pytest.mark.parametrize("on", ["the class", "the object"])
def test_methods_that_are_replaced(on: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = TraceContextTextMapPropagator()
    both = CompositePropagator([one])
    assert both.extract(CARRIER)
    monkeypatch.setattr(type(one) if on == "the class" else one, "extract", lambda *_, **__: "replaced")
    assert both.extract(CARRIER) == "replaced"
    monkeypatch.undo()
    assert parent(both.extract(CARRIER))


def test_getters_and_setters(monkeypatch: pytest.MonkeyPatch) -> None:
    class Getter(DefaultGetter):
        def get(self, carrier: Any, key: str) -> Any:
            return super().get(carrier, f"x-{key}")

    own = {f"x-{key}": value for key, value in CARRIER.items()}
    assert parent(propagate.extract(own, getter=Getter()))
    assert not propagate.extract(own)
    monkeypatch.setattr(DefaultGetter, "get", lambda _, carrier, key: [carrier[f"x-{key}"]])
    assert parent(propagate.extract(own))
    monkeypatch.undo()
    assert not propagate.extract(own)
    context = propagate.extract(CARRIER)
    monkeypatch.setattr(textmap.DefaultSetter, "set", lambda _, carrier, key, value: carrier.append((key, value)))
    propagate.inject(pairs := [], context)
    assert dict(pairs) == CARRIER


def test_get_global_textmap_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(propagate, "get_global_textmap", lambda: W3CBaggagePropagator())
    assert list(propagate.extract(CARRIER, Context()).values()) == [{"k": "v"}]


def test_wrong_arguments_raise_as_ever() -> None:
    for call in (
        lambda: propagate.extract(),
        lambda: propagate.inject({}, None, default_setter, 1),
        lambda: propagate.inject({}, carrier={}),
        lambda: CompositePropagator([]).extract({}, setter=1),
        lambda: W3CBaggagePropagator.extract(),
    ):
        with pytest.raises(TypeError):
            call()


def test_uninstall_puts_the_methods_back_and_install_again() -> None:
    held = propagate.get_global_textmap()
    otel_rs.uninstall()
    try:
        assert type(CompositePropagator.extract).__name__ == type(propagate.extract).__name__ == "function"
        assert parent(held.extract(CARRIER))
    finally:
        otel_rs.install()
    assert isinstance(CompositePropagator.extract, MethodDescriptorType)
    assert parent(held.extract(CARRIER))


def test_threads_while_a_class_changes() -> None:
    def work(_: int) -> None:
        for _ in range(500):
            context = propagate.extract(CARRIER)
            assert parent(context) == 0xB7AD6B7169203331
            propagate.inject(carrier := {}, context)
            assert carrier == CARRIER

    def change() -> None:
        for number in range(500):
            TraceContextTextMapPropagator.unrelated = number  # type: ignore[attr-defined]

    with ThreadPoolExecutor(5) as pool:
        done = [pool.submit(work, number) for number in range(4)]
        pool.submit(change).result()
        for each in done:
            each.result()
    del TraceContextTextMapPropagator.unrelated  # type: ignore[attr-defined]


@pytest.fixture
def no_log() -> Iterator[None]:
    """pytest keeps log records."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("no_log")
def test_nothing_leaks() -> None:
    names = {"traceparent": "x" * 20, "tracestate": "a" * 20, "baggage": "é" * 20}
    hostile = {"traceparent": TRACE_PARENT, "tracestate": "A=1", "baggage": "k=v,x"}
    shared = [CARRIER, names, hostile, default_getter, default_setter, *CARRIER.values()]

    def round() -> list[int]:
        for _ in range(200):
            context = propagate.extract(CARRIER)
            propagate.inject({}, context)
            propagate.extract(names)
            propagate.extract(hostile)
        gc.collect()
        return [len(gc.get_objects()), *map(sys.getrefcount, shared)]

    for _ in range(3):
        round()
    first, last = round(), round()
    assert all(abs(before - after) < 20 for before, after in zip(first, last, strict=True)), (first, last)
