"""Functions of ``opentelemetry.context`` and ``opentelemetry.trace`` that instrumentations and programs call all the
time."""

from __future__ import annotations

from typing import Any

from opentelemetry import context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

from otel_rs._imported import is_imported
from otel_rs._native import native_api_function


def function(original: Any) -> Any:
    """The native function, where contexts are kept in upstream's own runtime."""
    is_usual = type(context._RUNTIME_CONTEXT) is ContextVarsRuntimeContext
    return native_api_function(original) if is_usual else original


is_imported(__name__)
