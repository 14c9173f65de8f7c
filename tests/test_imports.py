"""Each module can be imported first, has no side effects at import, and is in no import cycle."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "python" / "otel_rs"


def name_of(source: Path) -> str:
    parts = source.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(source): source for source in sorted(PACKAGE.rglob("*.py"))}

# Importing a module must not change these. `__main__` modules are run under another name, too.
PROGRAM = """
import atexit, importlib, signal, sys, threading
import {first}
before = atexit._ncallbacks(), len(threading._threading_atexits), signal.raise_signal, list(sys.meta_path)
importlib.import_module({module!r})
after = atexit._ncallbacks(), len(threading._threading_atexits), signal.raise_signal, list(sys.meta_path)
assert before == after, (before, after)
"""


@pytest.mark.parametrize("module", MODULES)
def test_a_module_can_be_imported_first_and_does_nothing_else(module: str) -> None:
    # Imports upstream's modules first, because they may register hooks.
    first = "opentelemetry.sdk._configuration, concurrent.futures.thread, opentelemetry.instrumentation.distro"
    for program in (f"import {module}", PROGRAM.format(first=first, module=module)):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")


def imported_by(source: Path) -> set[str]:
    """The package's own modules that it imports, also inside functions, but not those under TYPE_CHECKING."""
    found = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("otel_rs"):
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                found.add(submodule if submodule in MODULES else str(node.module))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(source.read_text()))
    return found & set(MODULES)


def test_no_module_imports_one_that_imports_it() -> None:
    imports = {module: imported_by(source) for module, source in MODULES.items()}

    def reached(module: str, seen: set[str]) -> set[str]:
        for other in imports[module] - seen:
            seen.add(other)
            reached(other, seen)
        return seen

    assert [module for module in MODULES if module in reached(module, set())] == []


# From the lowest layer up; a module imports nothing from a later line.
LAYERS = [
    ["otel_rs._lazy_exports", "otel_rs.settings"],
    ["otel_rs.exit"],
    ["otel_rs.exporter"],
    ["otel_rs.trace"],
    ["otel_rs.installation"],
    ["otel_rs.cli", "otel_rs.distro"],
]


def layer_of(module: str) -> int:
    return next(
        (
            number
            for number, names in enumerate(LAYERS)
            if any(module == name or module.startswith(f"{name}.") for name in names)
        ),
        -1,
    )


def test_no_module_imports_one_above_it() -> None:
    for module, source in MODULES.items():
        assert module == "otel_rs" or layer_of(module) >= 0, module
        for other in imported_by(source):
            assert module == "otel_rs" or layer_of(other) <= layer_of(module), (module, other)
