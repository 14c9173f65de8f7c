"""The settings: their table, how their values are read, and what happens to a bad one.

``python -m otel_rs.settings`` prints the table as a page of Markdown.
"""

from otel_rs.settings.reading import forget_reports, read, tolerate_arguments
from otel_rs.settings.table import Setting, Signal
from otel_rs.settings.upstream import corrected_environment

__all__ = ["Setting", "Signal", "corrected_environment", "forget_reports", "read", "tolerate_arguments"]
