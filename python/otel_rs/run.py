"""`otel-rs run`: sets up what the distro `rs` sets up under opentelemetry-instrument, and runs the program.

A Python program runs in this process, so that Python starts once, and finds itself as if Python had been started with
it: its arguments, ``sys.path``, ``__main__``, tracebacks and exit code. Any other one takes the place of this process,
with the variables by which opentelemetry-instrument reaches the interpreters that it starts. See
docs/decisions/0025-one-start-of-python.md.
"""

from __future__ import annotations

import os
import shutil
import sys
import zipimport
from collections.abc import Callable, Sequence
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from typing import Any, NamedTuple, NoReturn

from otel_rs._put_off import put_off_imports

_AUTO_INSTRUMENTATION = "opentelemetry.instrumentation.auto_instrumentation"
_NOT_FOUND = 127  # a shell's exit code for it


class _Program(NamedTuple):
    """What Python would have been started with."""

    original_arguments: list[str]
    arguments: list[str]
    first_on_path: str
    start: Callable[[], None]


def run(command: Sequence[str]) -> NoReturn:
    """Runs the command, and ends the process as it ends."""
    command = _whole_command(list(command))
    program = _python_program(command)
    os.environ.setdefault("OTEL_PYTHON_DISTRO", "rs")
    correct_propagators()
    folder = _auto_instrumentation_folder()
    # Under opentelemetry-instrument, or in a child of a program under `otel-rs run`, it is done.
    is_set_up = folder in sys.path
    _reach_children(folder)
    if program is None:
        _become(command)
    sys.orig_argv[:] = program.original_arguments
    sys.argv[:] = program.arguments
    _empty_main()
    puts_folder_first = not (sys.flags.isolated or getattr(sys.flags, "safe_path", False))
    if puts_folder_first:
        # That of this command's own script.
        del sys.path[0]
    if not is_set_up:
        if (here := os.getcwd()) not in sys.path:
            sys.path.insert(0, here)
        put_off_imports()
        from opentelemetry.instrumentation.auto_instrumentation import initialize

        initialize()
    if puts_folder_first:
        sys.path.insert(0, program.first_on_path)
    _start(program.start)


# --- What the command is ---------------------------------------------------------------------------------------------


def _whole_command(command: list[str]) -> list[str]:
    """With this Python in front of what is its business: a module, and a file that is no command."""
    name = command[0]
    is_source = name.endswith(".py") and os.path.isfile(name)
    if name == "-m" or is_source or (shutil.which(name) is None and _has_code(name)):
        return [sys.executable, *command]
    return command


def _python_program(command: list[str]) -> _Program | None:
    """None if it is no Python program, one of another Python, or one that wants options of Python."""
    # This Python is as the program's would be if it was started without options, too.
    if sys.orig_argv[1:2] and sys.orig_argv[1].startswith("-") and sys.orig_argv[1] != "-m":
        return None
    name, *arguments = command
    path = shutil.which(name)
    if path is None:
        return None
    if _is_this_python(path):
        if arguments[:1] == ["-m"] and len(arguments) > 1:
            return _module(name, arguments[1:])
        return _script(name, arguments) if arguments and not arguments[0].startswith("-") else None
    interpreter = _interpreter_of(path)
    if interpreter is not None and _is_this_python(interpreter):
        return _script(interpreter, [path, *arguments])
    return None


def _has_code(path: str) -> bool:
    return os.path.isfile(path) or os.path.isfile(os.path.join(path, "__main__.py"))


def _is_this_python(path: str) -> bool:
    """Of the same environment, too: all environments may link to the same file."""
    try:
        return os.path.samefile(path, sys.executable) and os.path.samefile(
            os.path.dirname(path), os.path.dirname(sys.executable)
        )
    except OSError:
        return False


def _interpreter_of(path: str) -> str | None:
    """What a script names in its first line, without arguments."""
    try:
        with open(path, "rb") as file:
            line = file.readline(4096)
    except OSError:  # may be run, but not read
        return None
    if not line.startswith(b"#!"):
        return None
    words = os.fsdecode(line[2:]).split()
    if len(words) == 2 and os.path.basename(words[0]) == "env":
        return shutil.which(words[1])
    return words[0] if len(words) == 1 else None


# --- As Python would start it ----------------------------------------------------------------------------------------


def _script(python: str, arguments: list[str]) -> _Program:
    path = os.path.join(os.getcwd(), arguments[0])
    if os.path.isdir(path) or _is_archive(path):
        return _Program([python, *arguments], arguments, path, _run_folder)
    folder = os.path.dirname(os.path.realpath(path))
    return _Program([python, *arguments], arguments, folder, lambda: _run_file(path))


def _module(python: str, arguments: list[str]) -> _Program:
    name, *rest = arguments
    return _Program([python, "-m", *arguments], ["-m", *rest], os.getcwd(), lambda: _run_module(name))


def _is_archive(path: str) -> bool:
    try:
        zipimport.zipimporter(path)
    except zipimport.ZipImportError:
        return False
    return True


def _run_file(path: str) -> None:
    names = _main_names()
    names["__file__"] = path
    names["__loader__"] = SourceFileLoader("__main__", path)
    with open(path, "rb") as file:
        source = file.read()
    exec(compile(source, path, "exec", dont_inherit=True), names)


def _run_module(name: str) -> None:
    # What Python itself calls for -m, and below for a folder.
    from runpy import _run_module_as_main  # type: ignore[attr-defined]

    _run_module_as_main(name)


def _run_folder() -> None:
    from runpy import _run_module_as_main  # type: ignore[attr-defined]

    _run_module_as_main("__main__", False)


def _main_names() -> dict[str, Any]:
    return vars(sys.modules["__main__"])


def _empty_main() -> None:
    """Leaves of the command's own script what Python puts into every one."""
    names = _main_names()
    for name in [name for name in names if not (name.startswith("__") and name.endswith("__"))]:
        del names[name]
    names.pop("__file__", None)
    names.update(dict.fromkeys({"__doc__", "__package__", "__spec__"} | ({"__cached__"} & names.keys())))
    if "__annotations__" in names:
        names["__annotations__"] = {}


def _start(start: Callable[[], None]) -> NoReturn:
    try:
        start()
    except Exception as error:
        # As Python ends, but without the lines of this file in the traceback.
        lines = error.__traceback__
        while lines is not None and lines.tb_frame.f_code.co_filename == __file__:
            lines = lines.tb_next
        sys.excepthook(type(error), error.with_traceback(lines), lines)
        raise SystemExit(1) from None
    raise SystemExit(0)


# --- Other programs, and children ------------------------------------------------------------------------------------


def _auto_instrumentation_folder() -> str:
    """Its ``sitecustomize`` sets up every Python that has it on its path."""
    spec = find_spec(_AUTO_INSTRUMENTATION)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"otel-rs run: {_AUTO_INSTRUMENTATION} is not installed")
    return os.path.abspath(spec.submodule_search_locations[0])


def correct_propagators() -> None:
    """For children, too, where upstream's API raises when it is imported."""
    if "OTEL_PROPAGATORS" in os.environ:
        from otel_rs.settings.components import known_propagators

        known = known_propagators()
        if known is None:
            del os.environ["OTEL_PROPAGATORS"]
        else:
            os.environ["OTEL_PROPAGATORS"] = known


def _reach_children(folder: str) -> None:
    """As opentelemetry-instrument: this folder first, then the working directory."""
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != folder]
    here = os.getcwd()
    os.environ["PYTHONPATH"] = os.pathsep.join([folder, *([] if here in paths else [here]), *paths])


def _become(command: Sequence[str]) -> NoReturn:
    path = shutil.which(command[0])
    if path is None:
        print(f"otel-rs run: there is no program {command[0]!r}", file=sys.stderr)
        raise SystemExit(_NOT_FOUND)
    os.execv(path, [path, *command[1:]])
