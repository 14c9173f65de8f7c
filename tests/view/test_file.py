"""`otel-rs view FILE` shows what `otel-rs view --json` wrote."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ..support.viewer import DEADLINE, a_trace, posix_only, post, started
from .test_filters import logs, metrics, traces

pytestmark = posix_only

VIEW = [sys.executable, "-m", "otel_rs", "view"]


def view(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*VIEW, *words], input=stdin, capture_output=True, timeout=DEADLINE)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with started("--json") as (running, url):
        for name, body in (
            ("traces", a_trace().SerializeToString()),
            ("traces", traces()),
            ("logs", logs()),
            ("metrics", metrics()),
        ):
            post(f"{url}/v1/{name}", body)
        assert running.end() == 0
        path = tmp_path / "telemetry.jsonl"
        path.write_text("\n".join(running.out.rest()) + "\n")
    return path


def test_a_file_is_shown_to_its_end_as_if_it_had_been_received(file: Path) -> None:
    shown = view(str(file))
    assert (shown.returncode, shown.stderr) == (0, b"")
    text = shown.stdout.decode()
    assert "└─ GET /server_request  SERVER  12.3 ms  http.request.method=GET http.response.status_code=200\n" in text
    assert "   └─ render  INTERNAL  1.0 ms  ERROR: boom  data=<2 bytes> nan=inf map={k=[-1]}  1 event  1 link\n" in text
    assert "trace 02020202020202020202020202020202  jobs  1 span  2.50 s\n" in text
    assert "logs  jobs  1 record\n└─ ERROR  text\n" in text
    assert "metric  shop  m  1\n" in text
    assert view("-", stdin=file.read_bytes()).stdout == shown.stdout


def test_filters_and_a_width_hold_for_a_file(file: Path) -> None:
    shown = view("--name", "night", "--width", "60", str(file))
    assert shown.returncode == 0
    header, line = shown.stdout.decode().splitlines()
    assert header == "trace 02020202020202020202020202020202  jobs  1 span  2.50 s"
    assert line == "└─ nightly   ███████████████   2.50 s"


def test_a_file_can_be_copied(file: Path) -> None:
    assert view("--json", str(file)).stdout == file.read_bytes()


def test_a_line_that_cannot_be_read_costs_itself(file: Path) -> None:
    lines = file.read_bytes().splitlines()
    bad = b'{"resourceSpans": 7}'
    shown = view("-", stdin=b"\n".join([lines[0], b"", b"no json", lines[2], bad, b"{}"]))
    assert shown.returncode == 1
    assert b"GET /server_request" in shown.stdout
    assert b"logs  jobs" in shown.stdout
    assert shown.stderr.decode().startswith("otel-rs view: 3 lines of - cannot be read as OTLP/JSON; line 3: ")


def test_a_file_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    shown = view(str(tmp_path / "none"))
    assert (shown.returncode, shown.stdout) == (1, b"")
    message = f"otel-rs view: cannot read {tmp_path / 'none'}: No such file or directory (os error 2)\n"
    assert shown.stderr.decode() == message


def test_one_view_shows_live_what_another_one_writes() -> None:
    with started("--json") as (running, url):
        reading = subprocess.Popen([*VIEW, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with reading:
            assert reading.stdin is not None
            assert reading.stdout is not None
            post(f"{url}/v1/traces", a_trace().SerializeToString())
            reading.stdin.write((running.out.next() or "").encode() + b"\n")
            reading.stdin.flush()
            assert reading.stdout.readline().startswith(b"trace ")
            reading.stdin.close()
            assert reading.wait(DEADLINE) == 0
        assert running.end() == 0
