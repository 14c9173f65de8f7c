"""Terminals in which a page's commands are typed: with a network of their own, so that each page has every port."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

DEADLINE_SECONDS = 40

# Brings the loopback device up: SIOCSIFFLAGS with IFF_UP and IFF_RUNNING.
_LOOPBACK = """
import fcntl, signal, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 1 | 64))
print("up", flush=True)
signal.pause()
"""
_AS_ROOT = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
_IN_IT = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]


def is_possible() -> bool:
    """Whether this machine lets us make a network: Linux, as root or with user namespaces."""
    if not (shutil.which("unshare") and shutil.which("nsenter")):
        return False
    return subprocess.run(["unshare", *_AS_ROOT, "--net", "true"], capture_output=True).returncode == 0


@contextmanager
def network() -> Iterator[int]:
    """A process whose network the terminals enter. There is nothing but a loopback device in it."""
    command = ["unshare", *_AS_ROOT, "--net", sys.executable, "-c", _LOOPBACK]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "up\n"
        yield process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class Command:
    """A command that was typed, and what it printed."""

    def __init__(
        self, text: str, arguments: list[str], folder: Path, environment: Mapping[str, str], log: Path
    ) -> None:
        self.text = text
        self.is_service = False
        self.stopped_by = signal.SIGINT
        self._log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(
                arguments,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
                # A run in the background has it ignored.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def failure(self, what: str) -> str:
        return f"$ {self.text}\n{self.output()}\n{what}"

    def stop(self) -> None:
        """Ctrl+C, which all of its processes get, or another signal for the one that bash started; and its end."""
        if self.process.poll() is None:
            if self.stopped_by == signal.SIGINT:
                os.killpg(self.process.pid, signal.SIGINT)
            else:
                for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
                    os.kill(int(child), self.stopped_by)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(self.failure("It does not end.")) from None

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Terminals:
    """What is typed one after the other. A command that listens, and does not end, stays in its terminal."""

    def __init__(self, network: int, folder: Path, state: Path, environment: Mapping[str, str]) -> None:
        self._network, self._folder, self._state = network, folder, state
        self._environment = environment
        self.typed: list[Command] = []
        state.mkdir()

    def run(self, text: str, *, ready: str = "", outside: bool = False) -> Command:
        """Types the command. It ends without an error, or begins to listen, or prints `ready`, in time."""
        variables, there = self._state / "variables", self._state / "folder"
        script = f'[[ -e {variables} ]] && . {variables} && cd "$(cat {there})"\n{text}\n'
        script += f"code=$?\nexport -p >{variables}\npwd >{there}\nexit $code\n"
        enter = [] if outside else ["nsenter", "--target", str(self._network), "--net", *_IN_IT, "--"]
        before = self._listening()
        log = self._state / f"{len(self.typed)}.log"
        command = Command(text, [*enter, "bash", "-c", script], self._folder, self._environment, log)
        self.typed.append(command)
        deadline = time.monotonic() + (300 if outside else DEADLINE_SECONDS)
        while command.process.poll() is None:
            listens = self._listening() - before
            if (ready in command.output()) if ready else listens:
                return command
            if time.monotonic() > deadline:
                command.kill()
                raise AssertionError(command.failure("It neither ends nor listens."))
            time.sleep(0.02)
        assert command.process.returncode == 0, command.failure(f"It ended with {command.process.returncode}.")
        return command

    def running(self) -> list[Command]:
        return [command for command in self.typed if command.process.poll() is None]

    def _listening(self) -> set[str]:
        tables = [Path(f"/proc/{self._network}/net/{name}").read_text() for name in ("tcp", "tcp6")]
        return set(re.findall(r"^ *\d+: (\S+) \S+ 0A ", "\n".join(tables), re.MULTILINE))

    def close(self) -> None:
        for command in self.running():
            command.kill()
