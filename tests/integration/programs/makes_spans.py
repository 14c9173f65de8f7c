"""Run in the place of a child: a program of its own that ends five spans, and ends."""

import telemetry

telemetry.begin_child()
telemetry.configure()
telemetry.end_spans(5)
