"""How a setting's value is found, and what happens to a bad one.

The order is: the argument, the signal's variable, the general variable, the default. A bad value costs only itself: the
next one in this order counts, and one error line says so, once in a process for the same variable and value. An
argument that is bad raises ValueError, unless `tolerate_arguments` has said that the program was written for the stock
SDK.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from otel_rs.settings.kinds import Kind, NotAcceptedError
from otel_rs.settings.table import Setting, Signal

_logger = logging.getLogger("otel_rs.settings")

_reported: set[tuple[str, str]] = set()
_arguments_raise = True


class Found(NamedTuple):
    value: Any
    source: str
    """A variable's name, an argument's, or "" for the default."""
    text: str = ""
    """What the variable holds."""

    @property
    def is_argument(self) -> bool:
        return bool(self.source) and not self.from_variable

    @property
    def from_variable(self) -> bool:
        return self.source.isupper()


def tolerate_arguments(tolerate: bool) -> None:
    """Whether bad arguments are reported and left out, as bad variables are, instead of raising ValueError."""
    global _arguments_raise
    _arguments_raise = not tolerate


def arguments_raise() -> bool:
    return _arguments_raise


def forget_reports() -> None:
    """Bad values that were reported will be reported again. For tests."""
    _reported.clear()


def _report(source: str, text: str, message: str, level: int = logging.ERROR) -> None:
    if (source, text) not in _reported:
        _reported.add((source, text))
        _logger.log(level, "%s", message)


def report_bad(source: str, text: str, shown: str | None, problem: str, instead: str) -> None:
    """Says once what is wrong with a value and what is done instead. `shown` is None for a secret."""
    _report(source, text, f"{source}{f' is {shown}' if shown is not None else ''}{problem}. {instead}")


def warn_once(source: str, text: str, message: str) -> None:
    """About a value that is used, but not all of it."""
    _report(source, f"{text}: {message}", message, logging.WARNING)


def variable_text(setting: Setting) -> str:
    """What the variable holds, without spaces and quotes around it; "" if that is nothing."""
    text = os.environ.get(setting.variable, "").strip()
    if setting.kind.unquoted and _is_quoted(text):
        shown = "" if setting.secret else f" is {setting.kind.shown(text)}"
        warn_once(
            setting.variable, text, f"{setting.variable}{shown}: the quotes are not part of the value and are left out."
        )
        text = text[1:-1].strip()
    return text


def _is_quoted(text: str) -> bool:
    return len(text) >= 2 and text[0] in "\"'" and text.find(text[0], 1) == len(text) - 1


def read(setting: Setting, signal: Signal | None = None, *, kind: Kind | None = None, default: Any = None) -> Found:
    """What the environment says. `kind` and `default` take the place of the setting's."""
    bad: list[tuple[str, str, Kind]] = []
    found = _first_good(setting if signal is None else setting.of(signal), kind, bad)
    if found is None:
        found = Found(setting.default if default is None else default, "")
    for variable, text, of_kind in bad:
        _report_not_accepted(variable, text, of_kind, _instead(found, of_kind))
    return found


def _first_good(setting: Setting, kind: Kind | None, bad: list[tuple[str, str, Kind]]) -> Found | None:
    for candidate in _chain(setting):
        of_kind = kind or candidate.kind
        if not (text := variable_text(candidate)):
            continue
        try:
            return Found(of_kind.parse(text), candidate.variable, text)
        except NotAcceptedError:
            bad.append((candidate.variable, text, of_kind))
            if candidate.if_bad is not None:
                return Found(candidate.if_bad, "", text)
    return None


def _chain(setting: Setting | None) -> Iterator[Setting]:
    while setting is not None:
        yield setting
        setting = setting.general


def _instead(found: Found, kind: Kind) -> str:
    if found.text and not found.source:
        return f"It counts as {kind.shown_value(found.value)}."
    if found.value is None:
        return "It counts as not set."
    used = f"Using {kind.shown_value(found.value)}"
    return f"{used}, from {found.source}." if found.source else f"{used}, the default."


def _report_not_accepted(source: str, text: str, kind: Kind, instead: str) -> None:
    report_bad(source, text, kind.shown(text), f"; accepted: {kind.accepted}{kind.suggestion(text)}", instead)


def choose(
    setting: Setting,
    name: str,
    argument: object,
    signal: Signal | None = None,
    *,
    kind: Kind | None = None,
    argument_kind: Kind | None = None,
    default: Any = None,
) -> Found:
    """The argument of that name, or what the environment says if it is None or bad.

    `kind` takes the place of the setting's, `argument_kind` for the argument alone.
    """
    if argument is None:
        return read(setting, signal, kind=kind, default=default)
    of_kind = argument_kind or kind or setting.kind
    try:
        return Found(of_kind.check(argument), name)
    except NotAcceptedError:
        if _arguments_raise:
            raise ValueError(_refusal(name, argument, of_kind)) from None
    found = read(setting, signal, kind=kind, default=default)
    _report_not_accepted_argument(name, argument, of_kind, _instead(found, of_kind))
    return found


def check_argument(kind: Kind, name: str, argument: object, default: Any = None) -> Any:
    """The value of an argument that no variable stands for; `default` if it is None."""
    if argument is None:
        return default
    try:
        return kind.check(argument)
    except NotAcceptedError:
        if _arguments_raise:
            raise ValueError(_refusal(name, argument, kind)) from None
    _report_not_accepted_argument(name, argument, kind, _instead(Found(default, ""), kind))
    return default


def _refusal(name: str, argument: object, kind: Kind) -> str:
    return f"{name} is {kind.shown_argument(argument)}; accepted: {kind.accepted}"


def _report_not_accepted_argument(name: str, argument: object, kind: Kind, instead: str) -> None:
    shown = kind.shown_argument(argument)
    report_bad(f"argument {name}", shown, shown, f"; accepted: {kind.accepted}", instead)


def batch_size(batch: Found, queue: Found) -> int:
    """The size of a batch, no larger than the queue's. One that is from a variable, or meets a queue that is, never
    raises."""
    if batch.value <= queue.value:
        return int(batch.value)
    blamed = batch if batch.from_variable else queue if batch.is_argument else None
    if blamed is not None and blamed.from_variable:
        report_bad(
            blamed.source,
            f"{batch.value} > {queue.value}",
            str(blamed.value),
            f", and a batch of {batch.value} is larger than the queue of {queue.value}",
            f"A batch holds {queue.value}.",
        )
    return int(queue.value)
