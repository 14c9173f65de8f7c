"""Why the native part cannot be imported, in words that name the remedy."""

from __future__ import annotations

import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

_PACKAGE = Path(__file__).parent


def reason(error: ImportError) -> str:
    """The error's own text, unless the package was installed for another Python only.

    So it is in a folder on PYTHONPATH that one Python's pip made and another Python runs with.
    """
    if find_spec("otel_rs._native") is not None:
        return str(error)
    # _native.cpython-311-x86_64-linux-gnu.so
    made_for = sorted(path.name.split(".")[1] for path in _PACKAGE.glob("_native.*.*"))
    return (
        f"it is installed for {', '.join(made_for) or 'no Python'}, and this is {EXTENSION_SUFFIXES[0].split('.')[1]}; "
        f"install its wheel for Python {sysconfig.get_python_version()} in {_PACKAGE.parent}"
    )
