"""A Celery application. CONFIGURED selects whether it is instrumented at import (before the workers fork), or in each
worker by the signal `worker_process_init`. With LOAD, its main process ends spans in four threads."""

from __future__ import annotations

import os

import telemetry
from celery import Celery, signals

app = Celery("programs", broker=os.environ["REDIS"], backend=os.environ["REDIS"])
app.conf.broker_connection_retry_on_startup = True

CONFIGURED = os.environ["CONFIGURED"]
load = None

if CONFIGURED == "instrumentor":
    from opentelemetry import trace
    from opentelemetry.instrumentation.celery import CeleryInstrumentor

    telemetry.configure(records=True)
    trace.set_tracer_provider(telemetry.provider())
    CeleryInstrumentor().instrument()
elif CONFIGURED == "import" or "LOAD" in os.environ:
    telemetry.configure()


@app.task
def work() -> int:
    if CONFIGURED != "instrumentor":
        telemetry.end_spans(5)
    return os.getpid()


@signals.worker_process_init.connect
def child_begins(**_: object) -> None:
    telemetry.begin_child()
    if CONFIGURED == "worker_process_init":
        telemetry.configure()


@signals.worker_init.connect
def main_begins(**_: object) -> None:
    global load
    telemetry.note_connections_for_children()
    if "LOAD" in os.environ:
        load = telemetry.Load()


@signals.worker_shutdown.connect
def main_ends(**_: object) -> None:
    if load:
        load.end()
