"""What ``opentelemetry-instrumentation-grpc`` runs for each call that a server takes, of asyncio's ones, too."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import grpc
from opentelemetry.context import attach, detach
from opentelemetry.instrumentation.grpc import _server as contrib
from opentelemetry.propagate import extract
from opentelemetry.semconv._incubating.attributes.net_attributes import NET_PEER_IP, NET_PEER_NAME, NET_PEER_PORT
from opentelemetry.semconv._incubating.attributes.rpc_attributes import (
    RPC_GRPC_STATUS_CODE,
    RPC_METHOD,
    RPC_SERVICE,
    RPC_SYSTEM,
)
from opentelemetry.trace import SpanKind

from otel_rs._imported import is_imported

_ATTRIBUTES = {RPC_SYSTEM: "grpc", RPC_GRPC_STATUS_CODE: grpc.StatusCode.OK.value[0]}


@lru_cache
def _attributes_of_method(method: str) -> dict[str, Any]:
    service, name = method.lstrip("/").split("/", 1)
    return {**_ATTRIBUTES, RPC_METHOD: name, RPC_SERVICE: service}


@lru_cache
def _attributes_of_peer(peer: str) -> dict[str, Any]:
    """Of a connection: its addresses have commas between them."""
    if peer.startswith("unix:"):
        return {}
    ip, port = peer.split(",")[0].split(":", 1)[1].rsplit(":", 1)
    ip = unquote(ip)
    attributes = {NET_PEER_IP: ip, NET_PEER_PORT: port}
    if ip in ("[::1]", "127.0.0.1"):
        attributes[NET_PEER_NAME] = "localhost"
    return attributes


def start_span(_original: Any) -> Callable[..., Any]:
    """`OpenTelemetryServerInterceptor._start_span`."""

    def _start_span(self: Any, handler_call_details: Any, context: Any, set_status_on_exception: bool = False) -> Any:
        method = handler_call_details.method
        # A copy: a sampler may change it.
        attributes = dict(_attributes_of_method(method) if method else _ATTRIBUTES)
        metadata = dict(context.invocation_metadata())
        if "user-agent" in metadata:
            attributes["rpc.user_agent"] = metadata["user-agent"]
        peer = context.peer()
        try:
            attributes.update(_attributes_of_peer(peer))
        except IndexError:
            contrib.logger.warning("Failed to parse peer address '%s'", peer)
        return self._tracer.start_as_current_span(
            name=method,
            kind=SpanKind.SERVER,
            attributes=attributes,
            set_status_on_exception=set_status_on_exception,
        )

    return _start_span


class _RemoteContext:
    """The context that a call's metadata carry is the current one for a block."""

    __slots__ = ("_call", "_token")

    def __init__(self, call: Any) -> None:
        self._call = call
        self._token: Any = None

    def __enter__(self) -> None:
        metadata = self._call.invocation_metadata()
        if metadata:
            self._token = attach(extract({each.key: each.value for each in metadata}))

    def __exit__(self, *_: object) -> None:
        if self._token:
            detach(self._token)


def remote_context(_original: Any) -> Callable[..., Any]:
    """`OpenTelemetryServerInterceptor._set_remote_context`."""

    def _set_remote_context(_self: Any, servicer_context: Any) -> _RemoteContext:
        return _RemoteContext(servicer_context)

    return _set_remote_context


is_imported(__name__)
