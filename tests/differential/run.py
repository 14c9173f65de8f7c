"""Runs a program with a tracer. Exceptions are kept by place, and the program continues."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import sampling
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from . import programs, values
from .programs import Program
from .values import Plain, Value, build

Place = tuple[Any, ...]

CONTEXTS = {
    "remote": SpanContext(0x1234567890ABCDEF1234567890ABCDEF, 0x1234567890ABCDEF, True, TraceFlags(1)),
    "local": SpanContext(0x22222222222222222222222222222222, 0x2222222222222222, False, TraceFlags(1)),
    "invalid": SpanContext(0, 0, False),
    "half invalid": SpanContext(1, 0, True),
    "with state": SpanContext(
        0x33333333333333333333333333333333,
        0x3333333333333333,
        True,
        TraceFlags(3),
        TraceState([("a", "1"), ("b@c", "x y")]),
    ),
    "out of range": SpanContext(2**128, 2**64, False, TraceFlags(1)),
}


# --- Exceptions of the application -----------------------------------------------------------------------------------


class Failure(Exception):
    class Nested(Exception):
        pass


class WithoutModule(Exception):
    __module__ = None  # type: ignore[assignment]


class Interrupt(BaseException):
    pass


class RaisesInStr(Exception):
    def __str__(self) -> str:
        raise ValueError("from __str__ of an exception")


def _with_a_cause(message: str) -> BaseException:
    error = RuntimeError(message)
    error.__cause__ = KeyError("inner")
    return error


ERRORS: dict[str, Callable[[str], BaseException]] = {
    "ValueError": ValueError,
    "own": Failure,
    "nested": Failure.Nested,
    "no module": WithoutModule,
    "base": Interrupt,
    "exit": GeneratorExit,
    "raises in str": RaisesInStr,
    "with a cause": _with_a_cause,
}


# --- Samplers --------------------------------------------------------------------------------------------------------


class SamplerRaised(Exception):
    pass


class Sampler(sampling.Sampler):
    """Decides by the number of the span in the program, which the run sets."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.number = 0
        self.raises = True

    def should_sample(
        self,
        parent_context: Any,
        trace_id: int,
        name: str,
        kind: Any = None,
        attributes: Any = None,
        links: Any = None,
        trace_state: Any = None,
    ) -> sampling.SamplingResult:
        decision = sampling.Decision.RECORD_AND_SAMPLE
        takes = isinstance(attributes, Mapping) and not isinstance(attributes, values.RaisesInItems)
        from_sampler = dict(attributes) if takes else {}
        state = trace.get_current_span(parent_context).get_span_context().trace_state
        odd = self.number % 2 == 1
        if self.kind == "record only" and odd:
            decision = sampling.Decision.RECORD_ONLY
        elif self.kind == "every second" and odd:
            decision = sampling.Decision.DROP
        elif self.kind == "adds attributes":
            from_sampler = {"sampler": self.number, **from_sampler, "a": ["from", "sampler"]}
        elif self.kind == "trace state":
            state = TraceState([("sampled", str(self.number))])
        elif self.kind == "raises" and odd:
            if self.raises:
                raise SamplerRaised
            decision = sampling.Decision.DROP
        return sampling.SamplingResult(decision, from_sampler, state)

    def get_description(self) -> str:
        return self.kind


def sampler(kind: str) -> sampling.Sampler:
    if kind == "on":
        return sampling.ALWAYS_ON
    if kind == "off":
        return sampling.ALWAYS_OFF
    if kind == "parent":
        return sampling.ParentBased(sampling.ALWAYS_ON, remote_parent_sampled=sampling.ALWAYS_OFF)
    return Sampler(kind)


# --- The run ---------------------------------------------------------------------------------------------------------


class Run:
    """One run of one program.

    At the places in `corrected` the run does what the table of differences requires: it drops a value that raises, it
    does not sample where a sampler raises, and it cuts a container that is too deep.
    """

    def __init__(self, tracer: Any, sampler: sampling.Sampler, corrected: frozenset[Place] = frozenset()) -> None:
        self.tracer = tracer
        self.sampler = sampler
        self.corrected = corrected
        self.raised: dict[Place, str] = {}
        self.spans: list[Any] = []

    def program(self, program: Program) -> None:
        for number, operation in enumerate(program.operations):
            with contextlib.suppress(Exception, Interrupt, GeneratorExit):
                self.operation(operation, (number,))

    def attempt(self, place: Place, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:
            self.raised[place] = repr(type(error))
            return None

    def build(self, value: Value) -> Any:
        return build(value, self.tracer)

    def span(self, number: int) -> Any:
        return self.spans[number % len(self.spans)] if self.spans else trace.INVALID_SPAN

    def operation(self, operation: programs.Operation, place: Place) -> None:
        if isinstance(operation, programs.Raise):
            raise ERRORS[operation.error.kind](operation.error.message)
        if isinstance(operation, programs.Spanned):
            self.spanned(operation, place)
            return
        if place in self.corrected:
            operation = corrected_operation(operation)
            if operation is None:
                return
        self.attempt(place, self.prepared(operation))

    def prepared(self, operation: Any) -> Callable[[], Any]:
        """Returns the call with its arguments already built, so that only the call can raise."""
        span = self.span(operation.target)
        match operation:
            case programs.SetAttribute():
                key, value = self.build(operation.key), self.build(operation.value)
                return lambda: span.set_attribute(key, value)
            case programs.SetAttributes():
                attributes = self.build(operation.attributes)
                return lambda: span.set_attributes(attributes)
            case programs.AddEvent():
                arguments = [self.build(part) for part in (operation.name, operation.attributes, operation.time)]
                return lambda: span.add_event(*arguments)
            case programs.AddLink():
                context, attributes = self.context_of(operation.link.to), self.build(operation.link.attributes)
                return lambda: span.add_link(context, attributes)
            case programs.RecordException():
                error = ERRORS[operation.error.kind](operation.error.message)
                attributes, time = self.build(operation.attributes), self.build(operation.time)
                return lambda: span.record_exception(error, attributes, time, operation.escaped)
            case programs.SetStatus():
                arguments = self.status(operation.status)
                return lambda: span.set_status(*arguments)
            case programs.UpdateName():
                name = self.build(operation.name)
                return lambda: span.update_name(name)
            case programs.End():
                time = self.build(operation.time)
                return lambda: span.end(time)
        raise TypeError(operation)

    def status(self, status: programs.Describe) -> list[Any]:
        description = self.build(status.description)
        if status.code == "no status":
            return ["ERROR", description]
        code = StatusCode[status.code]
        return [Status(code, description)] if status.as_object else [code, description]

    def context_of(self, to: str | int) -> Any:
        if isinstance(to, int):
            return self.span(to).get_span_context()
        return {"none": None, "no context": "no context", **CONTEXTS}[to]

    # --- Spans -------------------------------------------------------------------------------------------------------

    def spanned(self, operation: programs.Spanned, place: Place) -> None:
        start = (*place, "start")
        if start in self.corrected:
            operation = corrected_start(operation)
        if isinstance(self.sampler, Sampler):
            self.sampler.number = len(self.spans)
            self.sampler.raises = start not in self.corrected
        try:
            getattr(self, operation.how.replace(" ", "_"))(operation, place, self.arguments(operation))
        except (Exception, Interrupt, GeneratorExit):
            if not operation.catches:
                raise

    def arguments(self, operation: programs.Spanned) -> dict[str, Any]:
        kinds: dict[str, Any] = {"none": None, "a text": "SERVER"}
        arguments: dict[str, Any] = {
            "name": self.build(operation.name),
            "kind": kinds[operation.kind] if operation.kind in kinds else SpanKind[operation.kind],
            "attributes": self.build(operation.attributes),
            "start_time": self.build(operation.start_time),
            "record_exception": operation.record_exception,
            "set_status_on_exception": operation.set_status_on_exception,
        }
        if operation.links is not None:
            links = [(self.context_of(link.to), self.build(link.attributes)) for link in operation.links]
            arguments["links"] = [Link(context, attributes) for context, attributes in links]
        match operation.context:
            case "current":
                pass
            case "empty":
                arguments["context"] = Context()
            case int():
                arguments["context"] = set_span_in_context(self.span(operation.context), Context())
            case name:
                arguments["context"] = set_span_in_context(NonRecordingSpan(CONTEXTS[name]), Context())
        return arguments

    def body(self, operation: programs.Spanned, place: Place, span: Any) -> None:
        self.spans.append(trace.INVALID_SPAN if span is None else span)
        for number, inner in enumerate(operation.body):
            self.operation(inner, (*place, number))

    def start(self, place: Place, arguments: dict[str, Any]) -> Any:
        span = self.attempt((*place, "start"), lambda: self.tracer.start_span(**arguments))
        return trace.INVALID_SPAN if span is None else span

    def block(self, operation: programs.Spanned, place: Place, block: Any, span: Any = None) -> None:
        """Runs `with block: body`, and distinguishes exceptions of entry and exit from those of the body."""
        entered = self.attempt((*place, "start"), block.__enter__)
        if entered is None:
            self.body(operation, place, None)
            return
        error: BaseException | None = None
        try:
            self.body(operation, place, entered)
        except BaseException as raised:
            error = raised
            self.correct_status(operation, place, entered, raised)
            self.leave(place, block, raised)
        else:
            self.leave(place, block, None)
        if span is not None and (*place, "exit") in self.corrected:
            span.end()
        if error is not None:
            raise error

    def correct_status(self, operation: programs.Spanned, place: Place, span: Any, error: BaseException) -> None:
        """The table of differences: an exception whose `__str__` raises gives an error status without a text."""
        # `use_span` belongs to the API, so it is the same for both SDKs.
        if operation.how == "use_span" or (*place, "exit") not in self.corrected:
            return
        if operation.set_status_on_exception and span.is_recording():
            span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: ?"))

    def leave(self, place: Place, block: Any, error: BaseException | None) -> None:
        try:
            block.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
        except BaseException as raised:
            if raised is not error:
                self.raised[(*place, "exit")] = repr(type(raised))

    def current(self, operation: programs.Spanned, place: Place, arguments: dict[str, Any]) -> None:
        self.block(operation, place, self.tracer.start_as_current_span(**arguments, end_on_exit=operation.end_on_exit))

    def use_span(self, operation: programs.Spanned, place: Place, arguments: dict[str, Any]) -> None:
        span = self.start(place, arguments)
        flags = [operation.end_on_exit, operation.record_exception, operation.set_status_on_exception]
        self.block(operation, place, trace.use_span(span, *flags))

    def with_(self, operation: programs.Spanned, place: Place, arguments: dict[str, Any]) -> None:
        span = self.start(place, arguments)
        self.block(operation, place, span, span)

    def bare(self, operation: programs.Spanned, place: Place, arguments: dict[str, Any]) -> None:
        span = self.start(place, arguments)
        time = self.build(operation.end_time)
        try:
            self.body(operation, place, span)
        finally:
            self.attempt((*place, "exit"), lambda: span.end(time))

    def called(self, operation: programs.Spanned, place: Place, call: Callable[[Any], Any]) -> None:
        """`call` runs the body in the decorated function, and lets the exceptions of the body through."""
        entered: list[BaseException | None] = []

        def body() -> None:
            entered.append(None)
            try:
                self.body(operation, place, trace.get_current_span())
            except BaseException as error:
                entered[0] = error
                self.correct_status(operation, place, trace.get_current_span(), error)
                raise

        try:
            call(body)
        except BaseException as error:
            if not entered:
                self.raised[(*place, "start")] = repr(type(error))
            elif error is not entered[0]:
                self.raised[(*place, "exit")] = repr(type(error))
        if not entered:
            self.body(operation, place, None)
        elif entered[0] is not None:
            raise entered[0]

    def decorator(self, operation: programs.Spanned, place: Place, arguments: dict[str, Any]) -> None:
        decorate = self.tracer.start_as_current_span(**arguments, end_on_exit=operation.end_on_exit)
        self.called(operation, place, lambda body: decorate(body)())

    def coroutine(self, operation: programs.Spanned, place: Place, arguments: dict[str, Any]) -> None:
        decorate = self.tracer.start_as_current_span(**arguments, end_on_exit=operation.end_on_exit)

        def call(body: Callable[[], None]) -> None:
            @decorate
            async def function() -> None:
                body()

            with contextlib.suppress(StopIteration):
                function().send(None)

        self.called(operation, place, call)

    def closed_generator(self, operation: programs.Spanned, place: Place, arguments: dict[str, Any]) -> None:
        def call(body: Callable[[], None]) -> None:
            def generate() -> Any:
                with self.tracer.start_as_current_span(**arguments, end_on_exit=operation.end_on_exit):
                    body()
                    yield

            generator = generate()
            next(generator)
            generator.close()

        self.called(operation, place, call)


setattr(Run, "with", Run.with_)


# --- The table of differences, where stock raises --------------------------------------------------------------------


class _Nothing:
    """A key that both SDKs drop and count, because it is false."""

    def __bool__(self) -> bool:
        return False


def corrected_attributes(attributes: Value) -> Value:
    """The mapping without the pairs that raise, which count as dropped; anything that is not a mapping is ignored."""
    if attributes == values.Odd("user dict"):
        return attributes
    if not isinstance(attributes, values.Pairs):
        return Plain(None)
    pairs = []
    for key, value in attributes.pairs:
        try:
            pairs.append((values.corrected(key), values.corrected(value) if values.is_kept(key) else Plain(1)))
        except values.Dropped:
            pairs.append((Plain(_Nothing()), Plain(1)))
    return replace(attributes, pairs=tuple(pairs))


def corrected_link(link: programs.LinkTo) -> programs.LinkTo | None:
    return None if link.to == "no context" else replace(link, attributes=corrected_attributes(link.attributes))


def corrected_operation(operation: Any) -> Any:
    """The operation as in the table of differences where stock raises; None if nothing remains of it."""
    match operation:
        case programs.SetAttribute():
            try:
                return replace(operation, value=values.corrected(operation.value))
            except values.Dropped:
                return replace(operation, key=Plain(""), value=Plain(1))
        case programs.SetAttributes():
            attributes = corrected_attributes(operation.attributes)
            return None if attributes == Plain(None) else replace(operation, attributes=attributes)
        case programs.AddEvent():
            return replace(operation, attributes=corrected_attributes(operation.attributes))
        case programs.AddLink():
            link = corrected_link(operation.link)
            return link and replace(operation, link=link)
        case programs.RecordException() if operation.error.kind != "raises in str":
            return replace(operation, attributes=corrected_attributes(operation.attributes))
    return None


def corrected_start(operation: programs.Spanned) -> programs.Spanned:
    links = operation.links and tuple(link for link in map(corrected_link, operation.links) if link)
    return replace(operation, attributes=corrected_attributes(operation.attributes), links=links)
