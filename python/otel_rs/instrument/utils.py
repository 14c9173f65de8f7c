"""Functions of ``opentelemetry-instrumentation`` that instrumentations call in each request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from otel_rs import _native
from otel_rs._imported import is_imported


def instrumentation_enabled(_original: Any) -> Callable[[], bool]:
    """`is_instrumentation_enabled`."""
    return _native.is_instrumentation_enabled


def http_instrumentation_enabled(_original: Any) -> Callable[[], bool]:
    """`is_http_instrumentation_enabled`."""
    return _native.is_http_instrumentation_enabled


def start_span(_original: Any) -> Callable[..., tuple[Any, Any]]:
    """`_start_internal_or_server_span`."""
    return _native.start_internal_or_server_span


is_imported(__name__)
