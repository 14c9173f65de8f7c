"""A separate program that runs as a child: it ends five spans, and exits."""

import telemetry

telemetry.begin_child()
telemetry.configure()
telemetry.end_spans(5)
