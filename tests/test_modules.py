"""Modules that mirror upstream's modules have the same public names."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType

import pytest
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter

import otel_rs

MIRRORS = ["trace", "trace.export", "trace.export.in_memory_span_exporter", "trace.id_generator", "trace.sampling"]


def own_public_names(module: ModuleType) -> set[str]:
    """The classes and functions that the module defines, without those that it imports."""
    members = inspect.getmembers(module, lambda member: getattr(member, "__module__", "") == module.__name__)
    return {name for name, _ in members if not name.startswith("_")}


@pytest.mark.parametrize("name", MIRRORS)
def test_a_mirror_module_has_all_public_names_of_upstreams(name: str) -> None:
    model = importlib.import_module(f"opentelemetry.sdk.{name}")
    mirror = importlib.import_module(f"otel_rs.{name}")
    assert own_public_names(model) - set(dir(mirror)) == set()


@pytest.mark.parametrize("name", ["BatchSpanProcessor", "SimpleSpanProcessor", "TracerProvider"])
def test_the_usual_names_are_at_the_top(name: str) -> None:
    assert getattr(otel_rs, name) is getattr(otel_rs.trace, name, getattr(otel_rs.trace.export, name, None))


def test_bases_are_upstreams() -> None:
    assert otel_rs.trace.SpanProcessor is SpanProcessor
    assert otel_rs.trace.export.SpanExporter is SpanExporter
