"""What ``opentelemetry-instrumentation-grpc`` runs for each call of a client, of asyncio's ones, too."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import grpc
from opentelemetry.instrumentation.grpc import _client as contrib
from opentelemetry.instrumentation.grpc._utilities import RpcInfo
from opentelemetry.propagate import inject
from opentelemetry.semconv._incubating.attributes.rpc_attributes import (
    RPC_GRPC_STATUS_CODE,
    RPC_METHOD,
    RPC_SERVICE,
    RPC_SYSTEM,
)
from opentelemetry.trace import SpanKind
from opentelemetry.trace.status import Status, StatusCode

from otel_rs._imported import is_imported
from otel_rs._native import is_instrumentation_enabled, use_span

_OK = grpc.StatusCode.OK.value[0]


@lru_cache
def _attributes_of(method: str) -> dict[str, Any]:
    service, name = method.lstrip("/").split("/", 1)
    return {RPC_SYSTEM: "grpc", RPC_GRPC_STATUS_CODE: _OK, RPC_METHOD: name, RPC_SERVICE: service}


def start_span(_original: Any) -> Callable[..., Any]:
    """`OpenTelemetryClientInterceptor._start_span`."""

    def _start_span(self: Any, method: str, **kwargs: Any) -> Any:
        # A copy: a sampler may change it.
        attributes = dict(_attributes_of(method))
        return self._tracer.start_as_current_span(name=method, kind=SpanKind.CLIENT, attributes=attributes, **kwargs)

    return _start_span


def intercept(_original: Any) -> Callable[..., Any]:
    """`OpenTelemetryClientInterceptor._intercept`: a call with one response."""

    def _intercept(self: Any, request: Any, metadata: Any, client_info: Any, invoker: Any) -> Any:
        if not is_instrumentation_enabled():
            return invoker(request, metadata)
        headers = dict(metadata) if metadata else {}
        method = client_info.full_method
        with self._start_span(method, end_on_exit=False, record_exception=False, set_status_on_exception=False) as span:
            result = None
            try:
                inject(headers, setter=contrib._carrier_setter)
                metadata = tuple(headers.items())
                if self._request_hook:
                    self._call_request_hook(span, request)
                result = invoker(request, metadata)
            except Exception as error:
                if isinstance(error, grpc.RpcError):
                    span.set_attribute(RPC_GRPC_STATUS_CODE, error.code().value[0])
                span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
                span.record_exception(error)
                raise
            finally:
                if result is None:
                    span.end()
        call = RpcInfo(method, metadata, client_info.timeout, request)
        return self._trace_result(span, call, result)

    return _intercept


def done_callback(_original: Any) -> Callable[..., Any]:
    """`_make_future_done_callback`: ends the span of a call that somebody waits for."""

    def _make_future_done_callback(span: Any, rpc_info: Any) -> Callable[[Any], None]:
        def callback(response_future: Any) -> None:
            with use_span(span, end_on_exit=True):
                code = response_future.code()
                if code != grpc.StatusCode.OK:
                    rpc_info.error = code
                    span.set_attribute(RPC_GRPC_STATUS_CODE, code.value[0])
                    span.set_status(Status(StatusCode.ERROR))
                    return
                rpc_info.response = response_future.result()

        return callback

    return _make_future_done_callback


is_imported(__name__)
