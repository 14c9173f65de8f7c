"""What type checkers see of the package. mypy and pyright check it, and nothing runs it.

A comment that ignores an error is itself an error where there is none.
"""

from typing_extensions import assert_type

import otel_rs
from otel_rs import BatchSpanProcessor, SimpleSpanProcessor, TracerProvider, install, uninstall
from otel_rs import Typo as _  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
from otel_rs.exporter.otlp.grpc import OTLPLogExporter, OTLPMetricExporter, OTLPSpanExporter
