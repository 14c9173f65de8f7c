"""Lets upstream's code read the environment without meeting a bad value.

The stock classes read some settings themselves. Some raise for a bad value, which would cost every signal; others log a
traceback. While `corrected_environment` lasts, each bad value is replaced by what is done instead.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from otel_rs.settings import table
from otel_rs.settings.components import known_propagators, known_sampler
from otel_rs.settings.kinds import Boolean, Choice, Number
from otel_rs.settings.reading import batch_size, read, variable_text
from otel_rs.settings.table import Setting

_RATIO_SAMPLERS = ("traceidratio", "parentbased_traceidratio")

# Batches, and the queue that each is taken from: the stock classes refuse one that is larger.
_QUEUES = {
    table.BSP_MAX_EXPORT_BATCH_SIZE: table.BSP_MAX_QUEUE_SIZE,
    table.BLRP_MAX_EXPORT_BATCH_SIZE: table.BLRP_MAX_QUEUE_SIZE,
}

# Names of parts that there must be.
_NAMES = {table.PROPAGATORS: known_propagators, table.SAMPLER: known_sampler}


class _Correction:
    def __init__(self, original: str | None, replacement: str | None) -> None:
        self.original = original
        self.replacement = replacement
        self.users = 1


_corrections: dict[str, _Correction] = {}
_lock = threading.Lock()


def _in_child() -> None:
    """The threads that would put the originals back are the parent's, and so is the thread that may hold the lock."""
    global _lock
    _lock = threading.Lock()
    for variable, correction in _corrections.items():
        if os.environ.get(variable) == correction.replacement:
            _set(variable, correction.original)
    _corrections.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


@contextmanager
def corrected_environment(settings: Iterable[Setting] = table.ALL) -> Iterator[None]:
    """What is bad in `os.environ` is replaced for as long as this lasts, in any thread."""
    # Before the lock: a bad value is logged, and a handler may run any code.
    replacements = {setting.variable: corrected(setting) for setting in settings}
    with _lock:
        used = _correct(replacements)
    try:
        yield
    finally:
        with _lock:
            for variable in used:
                _put_back(variable)


def _correct(replacements: dict[str, str | None]) -> list[str]:
    used = []
    for variable, replacement in replacements.items():
        if variable in _corrections:
            _corrections[variable].users += 1
            used.append(variable)
        elif replacement != os.environ.get(variable):
            _corrections[variable] = _Correction(os.environ.get(variable), replacement)
            _set(variable, replacement)
            used.append(variable)
    return used


def _put_back(variable: str) -> None:
    correction = _corrections.get(variable)
    if correction is None:  # a fork within the block
        return
    correction.users -= 1
    if not correction.users:
        del _corrections[variable]
        # Somebody may have set it meanwhile.
        if os.environ.get(variable) == correction.replacement:
            _set(variable, correction.original)


def _set(variable: str, text: str | None) -> None:
    if text is None:
        os.environ.pop(variable, None)
    else:
        os.environ[variable] = text


def corrected(setting: Setting) -> str | None:
    """What upstream may read in the variable's place; None for nothing."""
    if queue := _QUEUES.get(setting):
        batch = read(setting)
        size = batch_size(batch, read(queue))
        return str(size) if batch.from_variable or size != setting.default else None
    text = os.environ.get(setting.variable)
    if text is not None and setting in _NAMES:
        return _NAMES[setting]()
    if text is None or _is_free_text(setting):
        return text
    if not isinstance(setting.kind, (Number, Choice, Boolean)):
        return variable_text(setting) or None
    if not variable_text(setting):
        return text if isinstance(setting.kind, Number) and setting.kind.empty_is_no_limit else None
    found = read(setting)
    counts_as_set = found.source == setting.variable or found.text or setting.general is None
    if not counts_as_set or (found.value is None and not found.text):
        return None  # upstream goes on to the general variable and the default
    return setting.kind.text(found.value)


def _is_free_text(setting: Setting) -> bool:
    if setting is table.SAMPLER_ARGUMENT:
        return variable_text(table.SAMPLER).lower() not in _RATIO_SAMPLERS
    return not setting.kind.unquoted
