"""The options of a gRPC channel: which have a native meaning, and which have none for calls with one answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from otel_rs.exporter.otlp._config import USER_AGENT

# They say how a channel keeps, finds and tries connections, or how large its buffers are: not where data goes, who may
# read it, or what arrives. The native client has its own ways for these.
_WITHOUT_MEANING = frozenset(
    {
        "grpc.client_idle_timeout_ms",
        "grpc.dns_enable_srv_queries",
        "grpc.dns_min_time_between_resolutions_ms",
        "grpc.enable_channelz",
        "grpc.enable_deadline_checking",
        "grpc.enable_retries",
        "grpc.experimental.tcp_max_read_chunk_size",
        "grpc.experimental.tcp_min_read_chunk_size",
        "grpc.experimental.tcp_read_chunk_size",
        "grpc.initial_reconnect_backoff_ms",
        "grpc.keepalive_permit_without_calls",
        "grpc.keepalive_time_ms",
        "grpc.keepalive_timeout_ms",
        "grpc.max_channel_trace_event_memory_per_node",
        "grpc.max_metadata_size",
        "grpc.max_receive_message_length",
        "grpc.max_reconnect_backoff_ms",
        "grpc.min_reconnect_backoff_ms",
        "grpc.optimization_target",
        "grpc.per_rpc_retry_buffer_size",
        "grpc.use_local_subchannel_pool",
    }
)
_WITHOUT_MEANING_PREFIXES = ("grpc.http2.", "grpc.server_", "grpc.max_connection_")


class ChannelOptions(NamedTuple):
    user_agent: str
    max_request_size: int
    """Bytes; 0 is no limit."""
    proxy: str | None
    """Its address; "" for none; None for the environment's."""
    not_native: tuple[str, ...]
    """Names of those that only grpcio honours."""


def read_channel_options(options: Iterable[Any] | None) -> ChannelOptions:
    """Of two with one name the last counts, as in grpcio."""
    given = {str(name): value for name, value in options or ()}
    first, last = given.pop("grpc.primary_user_agent", ""), given.pop("grpc.secondary_user_agent", "")
    max_request_size = given.pop("grpc.max_send_message_length", -1)
    proxy = given.pop("grpc.http_proxy", None)
    if not given.pop("grpc.enable_http_proxy", True):
        proxy = ""
    return ChannelOptions(
        user_agent=" ".join(str(agent) for agent in (first, USER_AGENT, last) if agent),
        max_request_size=max(int(max_request_size), 0),
        proxy=None if proxy is None else str(proxy),
        not_native=tuple(
            name for name in given if name not in _WITHOUT_MEANING and not name.startswith(_WITHOUT_MEANING_PREFIXES)
        ),
    )
