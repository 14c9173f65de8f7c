"""Gunicorn's configuration file. The master process loads it."""

from __future__ import annotations

import os
from typing import Any

import tracing

if os.environ.get("CONFIGURED") == "in the master":
    import work

    tracing.instrument()
    work.Busy()


def post_fork(server: Any, worker: Any) -> None:
    tracing.instrument_if("after the fork")


def post_worker_init(worker: Any) -> None:
    """A worker loses a stop signal that arrives before this call, and Gunicorn kills it 30 seconds later."""
    worker.log.info("Worker takes signals")
