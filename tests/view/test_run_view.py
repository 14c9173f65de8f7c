"""`otel-rs run --view`: the program's traces in its own terminal, and its end as it is without."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ..support.viewer import DEADLINE, Lines, posix_only, started

pytestmark = posix_only

COMMAND = [sys.executable, "-m", "otel_rs", "run", "--view"]
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
    "OTEL_SERVICE_NAME": "shop",
}

PROGRAM = """
import logging, sys
from opentelemetry import metrics, trace
tracer = trace.get_tracer("t")
with tracer.start_as_current_span("request") as span:
    logging.getLogger("app").warning("slow")
    with tracer.start_as_current_span("render") as child:
        child.set_status(trace.Status(trace.StatusCode.ERROR, "boom"))
with tracer.start_as_current_span("other"):
    pass
metrics.get_meter("m").create_counter("orders").add(3)
logging.getLogger("app").warning("alone")
print("said", sys.argv[1:])
"""


def run(tmp_path: Path, *words: str, program: str = PROGRAM, **environment: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "app.py").write_text(program)
    return subprocess.run(
        [*COMMAND, *words],
        cwd=tmp_path,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )


def without_times(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("trace ")]


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf", "http/json"])
def test_what_the_program_sends_is_shown(tmp_path: Path, protocol: str) -> None:
    done = run(tmp_path, "app.py", "--name", "x", OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    assert (done.returncode, done.stdout) == (0, "said ['--name', 'x']\n")
    lines = done.stderr.splitlines()
    assert "metric  shop  orders  3" in lines
    assert lines[lines.index("logs  shop  1 record") + 1] == "└─ WARN  alone"
    request = next(number for number, line in enumerate(lines) if line.startswith("└─ request  INTERNAL"))
    assert "  shop  2 spans  " in lines[request - 1]
    assert lines[request + 1] == "   │  WARN  slow"
    assert lines[request + 2].startswith("   └─ render  INTERNAL")
    assert lines[request + 2].endswith("ERROR: boom")


def test_filters_say_which_traces_are_shown(tmp_path: Path) -> None:
    done = run(tmp_path, "--errors", "--name", "REND", "-m", "app")
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 4
    assert "└─ request" in done.stderr
    assert run(tmp_path, "--min-duration", "1s", "app.py").stderr == (
        "otel-rs run: nothing that the program sent passes the filters; without them all of it is shown\n"
    )


def test_a_program_that_sends_nothing(tmp_path: Path) -> None:
    (tmp_path / "nothing.py").write_text("")
    assert run(tmp_path, "nothing.py").stderr == ("otel-rs run: the program sent nothing; `otel-rs doctor` helps\n")


def test_a_filter_without_a_view_is_a_mistake(tmp_path: Path) -> None:
    command = [word for word in COMMAND if word != "--view"]
    done = subprocess.run([*command, "--errors", "app.py"], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 2
    assert done.stderr.endswith("--service, --name, --min-duration and --errors are for --view\n")


def test_an_endpoint_that_the_user_set_wins_and_is_named(tmp_path: Path) -> None:
    with started() as (view, url):
        done = run(tmp_path, "app.py", OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf")
        assert view.end() == 0
        assert any("└─ request" in line for line in view.out.rest())
    assert (done.returncode, done.stderr) == (
        0,
        "otel-rs run: OTEL_EXPORTER_OTLP_ENDPOINT says where telemetry goes, so nothing is shown here; "
        "unset it to see it\n",
    )


def test_an_endpoint_of_one_signal_leaves_the_others(tmp_path: Path) -> None:
    with started() as (view, url):
        endpoint = f"{url}/v1/metrics"
        done = run(
            tmp_path,
            "app.py",
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=endpoint,
            OTEL_EXPORTER_OTLP_METRICS_PROTOCOL="http/protobuf",
        )
        assert view.end() == 0
        assert view.out.rest() == ["metric  shop  orders  3"]
    assert done.returncode == 0
    assert done.stderr.splitlines()[0] == (
        "otel-rs run: OTEL_EXPORTER_OTLP_METRICS_ENDPOINT says where metrics go, so they are not shown here; "
        "unset it to see them"
    )
    assert "└─ request" in done.stderr


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_proxy_is_not_asked(tmp_path: Path, protocol: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        program = PROGRAM + "import os; print(os.environ['no_proxy'])"
        proxies = {"http_proxy": address, "HTTPS_PROXY": address, "NO_PROXY": "example.com", "no_proxy": ""}
        done = run(tmp_path, "app.py", program=program, OTEL_EXPORTER_OTLP_PROTOCOL=protocol, **proxies)
    assert done.stdout.splitlines()[-1] == "example.com,127.0.0.1"
    assert "└─ request" in done.stderr


ENDS = {
    "a status": ("import sys; sys.exit(7)", 7),
    "an exception": ("raise ValueError", 1),
    "a signal": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "an abort": ("import signal; signal.raise_signal(signal.SIGTERM)", -signal.SIGTERM),
}


@pytest.mark.parametrize("end", ENDS)
def test_it_ends_as_the_program_does(tmp_path: Path, end: str) -> None:
    program, status = ENDS[end]
    assert run(tmp_path, "app.py", program=program).returncode == status


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    done = run(tmp_path, "not-there")
    assert done.returncode == 127
    assert done.stderr.splitlines()[0] == "otel-rs run: there is no program 'not-there'"


WAITING = """
import signal, sys, time
count = 0
def count_signal(number, frame):
    global count
    count += 1
for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT"):
    signal.signal(getattr(signal, name), count_signal)
print("ready", flush=True)
while not count:
    time.sleep(0.01)
time.sleep(0.3)
print("signals:", count, flush=True)
sys.exit(5)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT"])
def test_a_signal_reaches_the_program(tmp_path: Path, name: str) -> None:
    (tmp_path / "app.py").write_text(WAITING)
    with subprocess.Popen(
        [*COMMAND, "app.py"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        # As in a shell: tests may have been started where it is ignored.
        preexec_fn=lambda: signal.signal(getattr(signal, name), signal.SIG_DFL),
    ) as process:
        try:
            assert process.stdout is not None
            lines = Lines(process.stdout)
            assert lines.next() == "ready"
            process.send_signal(getattr(signal, name))
            assert lines.rest() == ["signals: 1"]
            assert process.wait(DEADLINE) == 5
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_ctrl_c_reaches_the_program_once(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(WAITING)
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.chdir(tmp_path)
        os.execve(COMMAND[0], [*COMMAND, "app.py"], ENVIRONMENT)
    shown = b""
    while b"ready" not in shown:
        shown += os.read(terminal, 1024)
    os.write(terminal, b"\x03")
    while b"signals:" not in shown:
        shown += os.read(terminal, 1024)
    assert b"signals: 1" in shown
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    os.close(terminal)
