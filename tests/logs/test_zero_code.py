"""What `opentelemetry-instrument` sets up for Python's logging, with the `rs` distro, as with the stock one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..support.receiver import DEADLINE_SECONDS, HttpReceiver
from .run import _LINE

PROGRAM = """
import json, logging, sys
from opentelemetry import trace
logging.getLogger().setLevel(logging.INFO)
log = logging.getLogger("app")
with trace.get_tracer("test").start_as_current_span("span"):
    log.warning("in a span, %s", "formatted", extra={"user": "ada", "count": 3})
log.info("outside")
log.debug("too low")
try:
    raise LookupError("not found")
except LookupError:
    log.exception("failed")
import logging.config
logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "root": {"level": "INFO", "handlers": []}})
log.info("after dictConfig")
handlers = [type(handler).__module__ for handler in logging.getLogger().handlers]
print(json.dumps([module for module in handlers if "otel" in module or "opentelemetry" in module]))
"""

SETTINGS: dict[str, dict[str, str]] = {
    "instrumentation": {},
    "the SDK's handler": {"OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true"},
    "correlation": {"OTEL_PYTHON_LOG_CORRELATION": "true"},
    "correlation with a format": {
        "OTEL_PYTHON_LOG_CORRELATION": "true",
        "OTEL_PYTHON_LOG_FORMAT": "%(otelTraceSampled)s %(message)s",
    },
    "code attributes": {"OTEL_PYTHON_LOG_CODE_ATTRIBUTES": "true"},
    "level": {"OTEL_PYTHON_LOG_HANDLER_LEVEL": "warning"},
    "no handler": {"OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION": "false"},
    "limits": {"OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": "1", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "2"},
    "no exporter": {"OTEL_LOGS_EXPORTER": "none"},
    "disabled": {"OTEL_SDK_DISABLED": "true"},
}


def logged(distro: str, receiver: HttpReceiver, folder: Path, **environment: str) -> tuple[str, list[Any]]:
    """What the program prints, and the records that arrive, without ids and times of the run."""
    program = folder / "program.py"
    program.write_text(PROGRAM)
    receiver.requests.clear()
    done = subprocess.run(
        [str(Path(sys.executable).with_name("opentelemetry-instrument")), sys.executable, str(program)],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
            "OTEL_PYTHON_DISTRO": distro,
            "OTEL_PYTHON_CONFIGURATOR": {"rs": "rs", "distro": "configurator"}[distro],
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "flask,requests,urllib3,sqlite3,dbapi,asgi,wsgi,fastapi,django,"
            "celery,grpc_client,grpc_server,grpc_aio_client,grpc_aio_server,httpx,sqlalchemy",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.base,
            "OTEL_SERVICE_NAME": "shop",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    records = receiver.log_records()
    for record in records:
        assert record.observed_time_unix_nano
        assert bool(record.trace_id) == bool(record.span_id)
        record.trace_id = record.trace_id and b"trace"
        record.span_id = record.span_id and b"span"
        record.time_unix_nano = record.observed_time_unix_nano = 0
        for attribute in record.attributes:
            if attribute.key in ("otelTraceID", "otelSpanID") and attribute.value.string_value != "0":
                attribute.value.string_value = "id"
            if attribute.key == "exception.stacktrace":
                attribute.value.string_value = _LINE.sub("", attribute.value.string_value)
    return done.stdout, sorted(records, key=str)


@pytest.mark.parametrize("environment", SETTINGS.values(), ids=SETTINGS.keys())
def test_lines_are_those_of_the_stock_distro(
    http_receiver: HttpReceiver, tmp_path: Path, environment: dict[str, str]
) -> None:
    _, expected = logged("distro", http_receiver, tmp_path, **environment)
    modules, got = logged("rs", http_receiver, tmp_path, **environment)
    assert [str(record) for record in got] == [str(record) for record in expected]
    assert "opentelemetry" not in modules
    if not environment:
        assert len(got) == 4
        assert "otel_rs.logs.instrumentation" in modules
