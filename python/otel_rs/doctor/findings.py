"""What the examination finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Status = Literal["ok", "note", "problem"]


@dataclass
class Finding:
    """One line."""

    status: Status
    subject: str
    text: str


@dataclass
class Value:
    """A setting as it is in force."""

    variable: str
    value: str
    """Masked where it is a secret."""
    source: str
    """A variable, or "default". `OTEL_CONFIG_FILE`: what the file says, or leaves out, counts."""


@dataclass
class Examination:
    versions: dict[str, str] = field(default_factory=dict)
    set_up: list[Finding] = field(default_factory=list)
    settings: list[Value] = field(default_factory=list)
    complaints: list[Finding] = field(default_factory=list)
    """About settings."""
    delivery: list[Finding] = field(default_factory=list)

    def problems(self) -> list[Finding]:
        return [each for each in (*self.set_up, *self.complaints, *self.delivery) if each.status == "problem"]
