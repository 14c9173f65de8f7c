"""The messages on the page of troubleshooting are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CLIENT = ROOT / "crates" / "core" / "src" / "client"
# Tests of messages that are not of the client's. Some are upstream's.
SEEN_IN = ("test_configurator.py", "test_misnamed.py")
# Codes and statuses come from libraries' tables.
OTHERS = re.compile(r"HTTP \d|[A-Z_]+$")


def messages() -> list[str]:
    rows = re.findall(r"^\| (`.*?`) \|", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)
    return [message for row in rows for message in re.findall(r"`([^`]+)`", row)]


def source() -> str:
    text = "\n".join(path.read_text() for path in CLIENT.rglob("*.rs") if "tests" not in path.parts)
    text += "\n".join((ROOT / "tests" / name).read_text() for name in SEEN_IN)
    # Texts that go on in the next line.
    return re.sub(r"\\\n\s*", "", text)


@pytest.mark.parametrize("message", [message for message in messages() if not OTHERS.match(message)])
def test_a_message_of_the_page_is_one_of_the_codes(message: str) -> None:
    code = source()
    # The system's own words.
    parts = re.split(r"…|: ", message.replace("Connection refused", ""))
    assert all(part.strip() in code for part in parts), message
