"""The two lines that make it native come first; each worker sets up its own telemetry after the fork."""

import os
from typing import Any

import otel_rs

otel_rs.install()

from tracing import instrument  # noqa: E402  # imports what install() replaces

bind = f"127.0.0.1:{os.environ.get('PORT', '8082')}"


def post_fork(server: Any, worker: Any) -> None:
    instrument()
