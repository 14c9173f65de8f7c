"""The index gives what upstream's `entry_points` gives. In a process of its own: it stays for the rest of it."""

from __future__ import annotations

import subprocess
import sys

from .support.receiver import DEADLINE_SECONDS

PROGRAM = """
from importlib.metadata import EntryPoints
from opentelemetry.util import _importlib_metadata as upstream

def asked():
    groups = sorted({entry_point.group for entry_point in upstream.entry_points()}) + ["not there"]
    questions = [{}, {"name": "otlp"}, {"name": "rs", "value": "otel_rs.entry_points:load_distro"}]
    questions += [{"group": group, **more} for group in groups for more in ({}, {"name": "rs"}, {"name": "otlp"})]
    return [list(upstream.entry_points(**question)) for question in questions]

before = asked()
from otel_rs import _entry_points
_entry_points.index()
_entry_points.index()
after = asked()
assert type(upstream._original_entry_points_cached()).__name__ == "_IndexedEntryPoints"
assert before == after, (before, after)
for group in ("not there", "opentelemetry_distro"):
    assert isinstance(upstream.entry_points(group=group), EntryPoints)
assert upstream.entry_points().groups >= {"opentelemetry_distro"}
distro, = upstream.entry_points(group="opentelemetry_distro", name="rs")
assert distro.dist.name == "otel-rs"
"""


def test_the_index_gives_what_upstream_gives() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert (done.returncode, done.stderr) == (0, "")
