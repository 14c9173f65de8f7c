"""Every command and program on the pages runs, with what the page says to install and no more."""

from __future__ import annotations

import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import environments, services
from .pages import ROOT, Block, blocks, marked, pages
from .terminals import DEADLINE_SECONDS, Command, Terminals, is_possible, network

# What a page takes for granted besides what it installs: files of the reader's own.
GIVEN = Path(__file__).parent / "given"
LOST = re.compile(r"Failed to export|Nothing is sent")


def runnable(page: str) -> list[Block]:
    return [block for block in blocks(page) if block.is_run]


def needs(page: str) -> set[str]:
    return {word for needed in marked(page, "needs") for word in needed.split()}


def commands_of(page: str) -> list[str]:
    """All that is typed, beginning with what installs what the reader has."""
    commands = [command for block in runnable(page) for command in block.commands()]
    if any(command.startswith("pip install ") for command in commands):
        return commands
    return [f"pip install {' '.join(marked(page, 'installed')) or 'otel-rs'}", *commands]


def marks_of(page: str) -> list[pytest.MarkDecorator]:
    """Pages that take a minute are for `make docs-test` alone."""
    return [pytest.mark.environments] if {"network", "mariadb"} & needs(page) else []


PAGES = [page for page in pages() if runnable(page)]


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    commands = [(command, (ROOT / page).parent) for page in PAGES for command in commands_of(page)]
    return environments.wheels_for(tmp_path_factory.mktemp("packed") / "wheels", commands)


@pytest.fixture
def terminals(request: pytest.FixtureRequest, tmp_path: Path, wheels: Path) -> Iterator[Terminals]:
    page: str = request.getfixturevalue("page")
    if not is_possible():
        pytest.skip("it needs Linux's namespaces for a network")
    if "network" not in needs(page):
        for command in commands_of(page):
            for requirement in environments.requirements_of(command, (ROOT / page).parent):
                if not environments.is_in_the_development_set(requirement):
                    pytest.skip(f"{requirement.name} has no wheel for this Python")
    environment = environments.new(tmp_path / "environment", wheels, from_index="network" in needs(page))
    with network() as own:
        terminals = Terminals(own, folder_of(page, tmp_path), tmp_path / "state", environment)
        try:
            yield terminals
        finally:
            terminals.close()


def folder_of(page: str, tmp_path: Path) -> Path:
    """Where the page is read: an example in its own folder, any other in the reader's."""
    folder = tmp_path / "folder"
    if page.startswith("examples/"):
        ignored = shutil.ignore_patterns("__pycache__", "wheels")
        shutil.copytree(ROOT / Path(page).parent, folder, ignore=ignored)
    else:
        folder.mkdir()
    given = GIVEN / page.removesuffix(".md").replace("/", "_")
    if given.exists():
        shutil.copytree(given, folder, dirs_exist_ok=True)
    return folder


@pytest.mark.installed
@pytest.mark.parametrize("page", [pytest.param(page, marks=marks_of(page)) for page in PAGES])
def test_what_a_page_says_works(page: str, terminals: Terminals, tmp_path: Path) -> None:
    shown = runnable(page)
    reading = Reading(terminals, tmp_path / "folder")
    for service in sorted(needs(page) - {"network"}):
        services.start(service, terminals, tmp_path)
    first = commands_of(page)[0]
    if not any(first in block.commands() for block in shown):
        reading.type(first)
    if not any("otel-rs view" in block.text for block in shown):
        reading.type(f"{sys.executable} -m otel_rs.cli view")
    for block in shown:
        reading.follow(block)
    reading.stop_servers()
    for command in reading.typed():
        assert not LOST.search(command.output()), command.failure("Something was lost.")


class Reading:
    """Somebody who does what a page says, block by block."""

    def __init__(self, terminals: Terminals, folder: Path) -> None:
        self._terminals, self._folder = terminals, folder

    def typed(self) -> list[Command]:
        return self._terminals.typed

    def type(self, command: str, ready: str = "") -> Command:
        outside = command.startswith(("pip ", "opentelemetry-bootstrap "))
        if is_receiver_command(command):
            for other in self._terminals.running():
                if is_receiver(other):
                    other.stop()
        return self._terminals.run(command, ready=ready, outside=outside)

    def follow(self, block: Block) -> None:
        before = len(self._received())
        if block.title:
            (self._folder / block.title).write_text(block.text)
        elif block.language == "python":
            program = self._folder / f"line_{block.line}.py"
            program.write_text(block.text)
            self.type(f"python {program.name}")
        else:
            commands = block.commands()
            if not (commands[0].startswith("curl ") or "in another terminal" in block.marks):
                self.stop_servers()
            for command in commands[:-1]:
                self.type(command)
            last = self.type(commands[-1], block.marks.get("running when it prints", ""))
            last.stopped_by = signal.Signals[block.marks.get("stopped by", "SIGINT")]
            for text in block.marks.get("prints", "").split(","):
                self._wait_for(text.strip(), last.output)
        for name in block.marks.get("arrives", "").split(","):
            self._wait_for(name.strip(), lambda: self._received()[before:])

    def stop_servers(self) -> None:
        """Stops what still runs, but for the receiver."""
        for command in self._terminals.running():
            if not (is_receiver(command) or command.is_service):
                command.stop()

    def _received(self) -> str:
        return "".join(command.output() for command in self.typed() if is_receiver(command))

    def _wait_for(self, text: str, shown: Callable[[], str]) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while text not in shown():
            assert time.monotonic() < deadline, f"{text} is missing.\n{self._all_output()}"
            time.sleep(0.05)

    def _all_output(self) -> str:
        return "\n".join(command.failure("") for command in self.typed())


def is_receiver(command: Command) -> bool:
    return is_receiver_command(command.text)


def is_receiver_command(text: str) -> bool:
    return "otel-rs view" in text or "otel_rs.cli view" in text
