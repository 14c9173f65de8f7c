"""Functions of ``opentelemetry-util-http`` that instrumentations of servers and clients call in each request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from otel_rs._imported import is_imported
from otel_rs._native import HTTP_METHODS, may_be_synthetic
from otel_rs.instrument._environment import reader
from otel_rs.instrument._originals import lists_are_known


def method(original: Any) -> Callable[[Any], Any]:
    """`sanitize_method`."""

    def sanitize_method(method: Any) -> Any:
        return method if method in HTTP_METHODS else original(method)

    return sanitize_method


def custom_headers(original: Any) -> Callable[[str], list[str]]:
    """`get_custom_headers`."""
    readers: dict[str, Callable[[], object]] = {}

    def get_custom_headers(env_var: str) -> list[str]:
        read = readers.get(env_var)
        if read is None:
            read = readers[env_var] = reader(env_var)
        headers: list[str] = original(env_var) if read() else []
        return headers

    return get_custom_headers


def synthetic_type(original: Any) -> Callable[[Any], Any]:
    """`detect_synthetic_user_agent`."""

    def detect_synthetic_user_agent(user_agent: Any) -> Any:
        return original(user_agent) if not lists_are_known() or may_be_synthetic(user_agent) else None

    return detect_synthetic_user_agent


is_imported(__name__)
