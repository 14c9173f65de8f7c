"""A company's distro: its defaults, and its arguments for instrumentations."""

import os
from typing import Any

import flask
from opentelemetry import trace

from otel_rs.distro import OtelRsDistro


class AcmeDistro(OtelRsDistro):
    def _configure(self, **kwargs: Any) -> None:
        os.environ.setdefault("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging")
        super()._configure(**kwargs)

    def load_instrumentor(self, entry_point: Any, **kwargs: Any) -> None:
        if entry_point.name == "flask":
            kwargs["enable_commenter"] = True
            kwargs["response_hook"] = name_the_team
        super().load_instrumentor(entry_point, **kwargs)


def name_the_team(span: trace.Span, status: str, headers: list[Any]) -> None:
    span.set_attribute("acme.team", "orders")


def before_instrumentation() -> None:
    """The provider is there, and nothing is instrumented yet."""
    provider = type(trace.get_tracer_provider()).__name__
    print(f"before: {provider}, {flask.Flask.__module__}", flush=True)


def after_instrumentation() -> None:
    print(f"after: {flask.Flask.__module__}", flush=True)
