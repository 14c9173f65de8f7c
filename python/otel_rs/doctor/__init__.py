"""`otel-rs doctor`: what is set up, what is wrong with it, and whether the receiver answers."""

from otel_rs.doctor.examination import examine
from otel_rs.doctor.findings import Examination
from otel_rs.doctor.printing import as_json, as_text

__all__ = ["Examination", "as_json", "as_text", "examine"]
