"""One application in this process, which does requests when it is told to.

    python worker.py {flask_shop,django_shop,fastapi_shop,celery_shop}

It runs under opentelemetry-instrument, or without it.

Reads lines from its standard input, and answers each with a line of JSON:

- a number: so many requests; the CPU of the process before them, the CPU of this thread for them, the time of each,
  all in nanoseconds
- `flush`: the CPU of the process once all spans and log records are sent
- `collect`: the CPU of one collection of the metrics
- `calls` and a number: how often each function is called in so many requests
"""

import inspect
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from types import CodeType, FrameType
from typing import Any

import asgi
import wsgi

FLUSH_MILLIS = 30_000

Drive = Callable[[int, int], list[int]]


def driver(module: str) -> Drive:
    application = import_module(module).application
    if module == "celery_shop":
        import tasks

        return tasks.Driver(application)
    if inspect.iscoroutinefunction(type(application).__call__):
        return asgi.Driver(application)
    return lambda first, count: wsgi.drive(application, first, count)


def provided(signal: str) -> Any:
    """The signal's provider. In a program without telemetry there is none."""
    api = sys.modules.get(f"opentelemetry.{signal}")
    get = {"trace": "get_tracer_provider", "_logs": "get_logger_provider", "metrics": "get_meter_provider"}[signal]
    return getattr(api, get)() if api else None


def flush(*signals: str) -> None:
    for provider in map(provided, signals):
        # The API's own providers have nothing to flush.
        if hasattr(provider, "force_flush") and not provider.force_flush(FLUSH_MILLIS):
            raise SystemExit("force_flush failed: is the receiver there?")


def sent() -> int:
    flush("trace", "_logs")
    return time.process_time_ns()


def collected() -> int:
    begin = time.process_time_ns()
    flush("metrics")
    return time.process_time_ns() - begin


def requests(drive: Drive, first: int, count: int) -> dict[str, Any]:
    process, begin = time.process_time_ns(), time.thread_time_ns()
    latencies = drive(first, count)
    return {"process": process, "thread": time.thread_time_ns() - begin, "latencies": latencies}


def calls(drive: Drive, first: int, count: int) -> list[tuple[str, str, int]]:
    """The file and the name of each function that was called, and how often."""
    counted: Counter[CodeType] = Counter()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            counted[frame.f_code] += 1

    sys.setprofile(note)
    try:
        drive(first, count)
    finally:
        sys.setprofile(None)
    return [(code.co_filename, code.co_qualname, number) for code, number in counted.items()]


def main() -> None:
    drive = driver(sys.argv[1])
    done = 0
    for line in sys.stdin:
        match line.split():
            case ["flush"]:
                answer: Any = sent()
            case ["collect"]:
                answer = collected()
            case ["calls", count]:
                answer = calls(drive, done, int(count))
                done += int(count)
            case [count]:
                answer = requests(drive, done, int(count))
                done += int(count)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
