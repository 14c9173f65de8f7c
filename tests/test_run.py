"""`otel-rs run` beside Python itself and beside opentelemetry-instrument: what the program finds, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .support.receiver import DEADLINE_SECONDS

BIN = Path(sys.executable).parent
OTEL_RS = [sys.executable, "-m", "otel_rs.cli", "run"]

# What a program can see of how it was started. The last three are of the set-up.
FACTS = """
import json, os, sys
main = sys.modules["__main__"]
names = {name: type(value).__name__ if name in ("__loader__", "__spec__", "__builtins__") else value
    for name, value in vars(main).items() if name.startswith("__")}
names["__spec__ name"] = getattr(main.__spec__, "name", None)
facts = {
    "argv": sys.argv, "main": names, "path": sys.path, "here": __name__, "is main": vars(main) is globals(),
    "flags": list(sys.flags), "original": sys.orig_argv,
    "PYTHONPATH": os.environ.get("PYTHONPATH"),
    "distro": os.environ.get("OTEL_PYTHON_DISTRO"),
}
from opentelemetry import trace
facts["provider"] = type(trace.get_tracer_provider()).__module__
print(json.dumps(facts))
"""

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))},
    **dict.fromkeys((f"OTEL_{signal}_EXPORTER" for signal in ("TRACES", "METRICS", "LOGS")), "none"),
    "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
}

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Command:
    def run(*command: Any, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in command],
            env={**ENVIRONMENT, **environment},
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
        )

    return run


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A script, a package and an archive with the same program, in the working directory."""
    (tmp_path / "app.py").write_text(FACTS)
    (tmp_path / "folder").mkdir()
    for name in ("other.py", "__main__.py"):
        (tmp_path / "folder" / name).write_text(FACTS)
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "sibling.py").write_text("")
    (package / "__main__.py").write_text("from . import sibling\n" + FACTS)
    (package / "tool.py").write_text("from .sibling import __name__ as _\n" + FACTS)
    with zipfile.ZipFile(tmp_path / "archive.pyz", "w") as archive:
        archive.writestr("__main__.py", FACTS)
    script = tmp_path / "command"
    script.write_text(f"#!{sys.executable}\n{FACTS}")
    script.chmod(0o755)
    return tmp_path


# The words after `otel-rs run`, and how Python itself is started with the same program.
FORMS = {
    "app.py a -b": ["app.py", "a", "-b"],
    "folder/other.py": ["folder/other.py"],
    "-m package a": ["-m", "package", "a"],
    "-m package.tool --help": ["-m", "package.tool", "--help"],
    "./folder": ["./folder"],
    "archive.pyz": ["archive.pyz"],
    "python app.py a": ["app.py", "a"],
    "python -m package": ["-m", "package"],
    "./command x": ["./command", "x"],
    "command x": ["command", "x"],
}


@pytest.mark.parametrize("form", FORMS)
def test_a_program_finds_itself_as_if_python_had_been_started_with_it(
    start: Command, programs: Path, form: str
) -> None:
    ours = start(*OTEL_RS, *form.split())
    assert (ours.returncode, ours.stderr) == (0, "")
    plain = start("python", *FORMS[form])
    facts, expected = json.loads(ours.stdout), json.loads(plain.stdout)
    assert facts["provider"] == "otel_rs.trace._provider"
    assert facts["distro"] == "rs"
    for name in ("argv", "main", "here", "is main", "flags"):
        assert facts[name] == expected[name], name
    # As opentelemetry-instrument: the working directory is on the path, too.
    expected["path"].insert(1, str(programs))
    assert facts["path"] == expected["path"]
    assert facts["original"][1:] == expected["original"][1:]


@pytest.mark.parametrize("path", ["", "/somewhere"])
def test_children_and_other_programs_find_what_opentelemetry_instrument_gives_them(
    start: Command, programs: Path, path: str
) -> None:
    stock = json.loads(start("opentelemetry-instrument", "python", "app.py", PYTHONPATH=path).stdout)
    ours = json.loads(start(*OTEL_RS, "app.py", PYTHONPATH=path).stdout)
    assert ours["PYTHONPATH"] == stock["PYTHONPATH"]
    # Its own folder is not on the path of a program that has been set up.
    assert ours["path"] == [each for each in stock["path"] if not each.endswith("/auto_instrumentation")]


OTHER_FORMS = {
    "options of Python": ["python", "-X", "utf8", "app.py"],
    "a shell": ["sh", "-c", "exec python app.py"],
    "within another": [*OTEL_RS, "app.py"],
    "under opentelemetry-instrument": ["opentelemetry-instrument", "python", "app.py"],
}


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_other_forms_are_set_up_once(start: Command, programs: Path, form: str) -> None:
    done = start(*OTEL_RS, *OTHER_FORMS[form])
    # A second set-up would warn that there is a provider.
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    assert facts["provider"] == "otel_rs.trace._provider"
    assert facts["argv"] == ["app.py"]


def test_code_on_stdin(start: Command, tmp_path: Path) -> None:
    done = start(*OTEL_RS, "python", "-", stdin=FACTS)
    assert json.loads(done.stdout)["provider"] == "otel_rs.trace._provider"


def test_a_distro_that_the_user_chose_wins(start: Command, programs: Path) -> None:
    done = start(*OTEL_RS, "app.py", OTEL_PYTHON_DISTRO="distro", OTEL_PYTHON_CONFIGURATOR="configurator")
    assert json.loads(done.stdout)["provider"] == "opentelemetry.sdk.trace"


# --- Ends ------------------------------------------------------------------------------------------------------------

ENDS = {
    "at its end": "",
    "sys.exit(3)": "import sys; sys.exit(3)",
    "sys.exit with a text": "import sys; sys.exit('why')",
    "an exception": "def f():\n    raise ValueError('why')\nf()",
    "an exception with a cause": "try: 1/0\nexcept Exception as e: raise ValueError('why') from e",
    "a syntax error": "def f(:",
    "an exception hook": "import sys; sys.excepthook = lambda *a: print(a[0], a[2].tb_lineno); raise ValueError",
    "os._exit": "import os; os._exit(4)",
    "an exit function": "import atexit; atexit.register(print, 'end'); raise SystemExit(5)",
    "a thread": "import threading, time\ndef f():\n    time.sleep(0.1)\n    import __main__; print(__main__.x)\n"
    "x = 6; threading.Thread(target=f).start()",
}


@pytest.mark.parametrize("form", [["app.py"], ["-m", "app"]], ids=str)
@pytest.mark.parametrize("end", ENDS)
def test_it_ends_as_under_python(start: Command, tmp_path: Path, form: list[str], end: str) -> None:
    (tmp_path / "app.py").write_text(ENDS[end])
    ours, plain = start(*OTEL_RS, *form), start("python", *form)
    assert (ours.returncode, ours.stdout, ours.stderr) == (plain.returncode, plain.stdout, plain.stderr)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_as_under_python(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "app.py").write_text("import time\nprint('ready', flush=True)\ntime.sleep(60)")
    codes = []
    for command in ([*OTEL_RS, "app.py"], ["python", "app.py"]):
        with subprocess.Popen(
            command,
            cwd=tmp_path,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # As in a shell: tests may have been started where it is ignored.
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(number)
            codes.append(process.wait(DEADLINE_SECONDS))
    assert codes == [-number, -number]


def test_it_reads_stdin(start: Command, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("print(input().upper())")
    assert start(*OTEL_RS, "app.py", stdin="text\n").stdout == "TEXT\n"


@pytest.mark.parametrize("words", [["not-there"], ["not-there.py"]], ids=str)
def test_a_program_that_is_not_there(start: Command, words: list[str]) -> None:
    done = start(*OTEL_RS, *words)
    assert (done.returncode, done.stderr) == (127, f"otel-rs run: there is no program {words[0]!r}\n")


def test_without_a_receiver_the_program_ends_with_one_line_about_it(start: Command, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from opentelemetry import trace\ntrace.get_tracer('app').start_span('request').end()\n"
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        exporters = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "otlp"}
        done = start(*OTEL_RS, "app.py", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **exporters)
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "Connection refused" in done.stderr


def test_without_a_program(start: Command) -> None:
    done = start(*OTEL_RS)
    assert done.returncode == 2
    assert "a program is missing" in done.stderr


# --- Children --------------------------------------------------------------------------------------------------------

CHILDREN = """
import multiprocessing, subprocess, sys

class Thing:
    pass

def provider(thing):
    from opentelemetry import trace
    return type(thing).__module__, type(trace.get_tracer_provider()).__module__

if __name__ == "__main__":
    with multiprocessing.get_context({method!r}).Pool(1) as pool:
        print(*pool.apply(provider, (Thing(),)))
    code = "from opentelemetry import trace; print(type(trace.get_tracer_provider()).__module__)"
    print(subprocess.check_output([sys.executable, "-c", code], text=True), end="")
"""


@pytest.mark.parametrize("form", [["app.py"], ["-m", "app"]], ids=str)
@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_children_are_set_up(start: Command, tmp_path: Path, form: list[str], method: str) -> None:
    (tmp_path / "app.py").write_text(CHILDREN.format(method=method))
    done = start(*OTEL_RS, *form)
    main = {"spawn": "__mp_main__", "forkserver": "__mp_main__", "fork": "__main__"}[method]
    assert done.stdout.split() == [main, "otel_rs.trace._provider", "otel_rs.trace._provider"], done.stderr


def test_an_installed_command(start: Command) -> None:
    done = start(*OTEL_RS, "gunicorn", "--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "gunicorn")
