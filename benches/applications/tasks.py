"""Tasks of a Celery application without a broker, run as a worker runs them."""

import time

from celery import Celery
from celery.app.trace import build_tracer

NAME = "order"


class Driver:
    def __init__(self, application: Celery) -> None:
        self._run = build_tracer(NAME, application.tasks[NAME], app=application)

    def __call__(self, first: int, count: int) -> list[int]:
        """The nanoseconds of each of `count` tasks."""
        latencies = []
        for number in range(first, first + count):
            identifier = f"00000000-0000-0000-0000-{number:012}"
            message = {
                "id": identifier,
                "root_id": identifier,
                "task": NAME,
                "lang": "py",
                "origin": "gen42@shop",
                "hostname": "celery@shop",
                "reply_to": "2d4f3a1b-4c1e-3f3a-8a43-0d2a2b6c1e11",
                "correlation_id": identifier,
                "retries": 0,
                "timelimit": (None, None),
                "delivery_info": {"exchange": "", "routing_key": "celery", "priority": 0, "redelivered": False},
            }
            begin = time.perf_counter_ns()
            _, failed, _, _ = self._run(identifier, (number,), {}, message)
            latencies.append(time.perf_counter_ns() - begin)
            if failed:
                raise SystemExit(f"the task failed: {failed.retval!r}")
        return latencies
