"""What ``opentelemetry-instrumentation-celery`` runs for each task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.app.task import Context
from opentelemetry import context as context_api
from opentelemetry.instrumentation import celery as contrib
from opentelemetry.instrumentation.celery import utils
from opentelemetry.propagate import extract, inject
from opentelemetry.semconv._incubating.attributes.messaging_attributes import MESSAGING_MESSAGE_ID
from opentelemetry.semconv.trace import SpanAttributes
from opentelemetry.trace import SpanKind

from otel_rs._imported import is_imported
from otel_rs._native import use_span

_NAMES = {
    "correlation_id": SpanAttributes.MESSAGING_CONVERSATION_ID,
    "id": MESSAGING_MESSAGE_ID,
    "origin": "celery.hostname",
    "routing_key": SpanAttributes.MESSAGING_DESTINATION,
}
# Whose values contrib looks into.
_LOOKED_INTO = ("declare", "delivery_info", "retries", "timelimit")
_ATTRIBUTES = [
    (key, None if key in _LOOKED_INTO else _NAMES.get(key, f"celery.{key}")) for key in utils.CELERY_CONTEXT_ATTRIBUTES
]
_EMPTY = ((None, None), [None, None])


def context_attributes(original: Any) -> Callable[[Any, Any], None]:
    """`set_attributes_from_context`."""
    contexts_get = Context.get

    def set_attributes_from_context(span: Any, context: Any) -> None:
        if not span.is_recording():
            return
        # As `Context.get` does.
        is_context = isinstance(context, Context) and type(context).get is contexts_get
        get = context.get
        for key, name in _ATTRIBUTES:
            value = getattr(context, key, None) if is_context else get(key)
            if value is None or value == "":
                continue
            if name is not None:
                span.set_attribute(name, value)
            elif not (key == "timelimit" and value in _EMPTY) and not (key == "retries" and value == 0):
                original(span, {key: value})

    return set_attributes_from_context


def task_prerun(original: Any) -> Callable[..., None]:
    """`CeleryInstrumentor._trace_prerun`: starts the span of a task."""

    def _trace_prerun(self: Any, *args: Any, **kwargs: Any) -> None:
        if self._use_span_links:
            original(self, *args, **kwargs)
            return
        task = utils.retrieve_task(kwargs)
        task_id = utils.retrieve_task_id(kwargs)
        if task is None or task_id is None:
            return
        self.update_task_duration_time(task_id)
        extracted = extract(task.request, getter=contrib.celery_getter) or None
        contrib.logger.debug("prerun signal start task_id=%s", task_id)
        token = context_api.attach(extracted) if extracted is not None else None
        span = self._tracer.start_span(f"{contrib._TASK_RUN}/{task.name}", context=extracted, kind=SpanKind.CONSUMER)
        activation = use_span(span, end_on_exit=True)
        activation.__enter__()
        utils.attach_context(task, task_id, span, activation, token)

    return _trace_prerun


def before_publish(_original: Any) -> Callable[..., None]:
    """`CeleryInstrumentor._trace_before_publish`: starts the span of a task that is sent."""

    def _trace_before_publish(self: Any, *args: Any, **kwargs: Any) -> None:
        task = utils.retrieve_task_from_sender(kwargs)
        task_id = utils.retrieve_task_id_from_message(kwargs)
        if task_id is None:
            return
        name = kwargs.get("sender", "unknown") if task is None else task.name
        span = self._tracer.start_span(f"{contrib._TASK_APPLY_ASYNC}/{name}", kind=SpanKind.PRODUCER)
        if span.is_recording():
            span.set_attribute(contrib._TASK_TAG_KEY, contrib._TASK_APPLY_ASYNC)
            span.set_attribute(MESSAGING_MESSAGE_ID, task_id)
            span.set_attribute(contrib._TASK_NAME_KEY, name)
            utils.set_attributes_from_context(span, kwargs)
        activation = use_span(span, end_on_exit=True)
        activation.__enter__()
        utils.attach_context(task, task_id, span, activation, None, is_publish=True)
        headers = kwargs.get("headers")
        if headers:
            inject(headers)

    return _trace_before_publish


is_imported(__name__)
