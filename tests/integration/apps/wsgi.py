"""The WSGI application. It may set up tracing when the server loads it, before or after the fork."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import tracing

tracing.instrument_if("in the application")

import work  # noqa: E402

if os.environ.get("CONFIGURED") == "after the fork" and "uwsgi" in sys.modules:
    from uwsgidecorators import postfork  # needs uWSGI's master process, and is never called with --lazy-apps

    postfork(tracing.instrument)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    if environ["PATH_INFO"] == "/slow":
        print("slow request", flush=True)
        time.sleep(60)
    body = work.answer()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
