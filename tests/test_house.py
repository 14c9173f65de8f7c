"""The floors in docs/design.md: no upward import, no import cycle, and all unsafe code is listed."""

from __future__ import annotations

import ast
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

Imports = dict[Path, set[Path]]


def floors() -> dict[str, list[set[str]]]:
    """For each house the rooms of its floors, from the lowest floor up; docs/design.md lists them from the top down."""
    block = re.search(r"```floors\n(.*?)```", (ROOT / "docs/design.md").read_text(), re.DOTALL)
    assert block
    houses: dict[str, list[set[str]]] = {}
    for line in block[1].splitlines():
        if line and not line.startswith(" "):
            house = houses[line.strip()] = []
        elif line.strip():
            house.insert(0, set(line.split()))
    return houses


# --- Rust ------------------------------------------------------------------------------------------------------------


def without_tests_and_comments(text: str) -> str:
    text = re.split(r"^#\[cfg\(test\)\]\n(?:pub\S* )?mod \w+ \{", text, maxsplit=1, flags=re.MULTILINE)[0]
    return re.sub(r"//[^\n]*", "", text)


def used_paths(text: str) -> Iterator[str]:
    """All paths of `use` items, with expanded braces, and all that start with `crate`, `super` or a submodule."""
    for path in re.findall(r"\buse\s+([^;]+);", text):
        yield from expand_braces(re.sub(r"\s+", "", path))
    children = re.findall(r"\bmod (\w+);", text)
    text = re.sub(r"\buse\s+[^;]+;", "", text)
    yield from re.findall(rf"(?<![\w:])(?:{'|'.join(['crate', 'super', *children])})(?:::\w+)+", text)


def expand_braces(path: str) -> Iterator[str]:
    head, brace, rest = path.partition("{")
    if not brace:
        yield path
        return
    depth, start = 0, 0
    rest = rest.rsplit("}", 1)[0] + ","
    for at, character in enumerate(rest):
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            if rest[start:at]:
                yield from expand_braces(head + rest[start:at])
            start = at + 1


def module_of(source: Path, file: Path) -> list[str]:
    parts = list(file.relative_to(source).with_suffix("").parts)
    return parts[:-1] if parts[-1] in ("lib", "mod") else parts


def rust_imports(source: Path) -> Imports:
    files = [file for file in source.rglob("*.rs") if not {"tests", "tests.rs"} & set(file.relative_to(source).parts)]
    modules = {tuple(module_of(source, file)): file for file in files}
    imports: Imports = {}
    for file in files:
        here = module_of(source, file)
        found = imports[file] = set()
        for path in used_paths(without_tests_and_comments(file.read_text())):
            names = path.split("::")
            if "tests" in names:
                continue
            if names[0] == "crate":
                base = names[1:]
            elif names[0] == "super":
                ups = len(names) - len([name for name in names if name != "super"])
                base = here[: len(here) - ups] + names[ups:]
            else:
                base = here + (names[1:] if names[0] == "self" else names)
            while base and tuple(base) not in modules:
                base = base[:-1]
            if base and modules[tuple(base)] != file:
                found.add(modules[tuple(base)])
    return imports


# --- Python ----------------------------------------------------------------------------------------------------------


def python_imports(package: Path) -> Imports:
    files = [file for file in package.rglob("*.py*") if file.suffix in (".py", ".pyi")]

    def file_of(name: str) -> Path | None:
        place = package.parent.joinpath(*name.split("."))
        candidates = (place.with_suffix(".py"), place / "__init__.py", place.with_suffix(".pyi"))
        return next((file for file in candidates if file in files), None)

    imports: Imports = {}
    for file in files:
        found = imports[file] = set()
        for node in ast.walk(ast.parse(file.read_text())) if file.suffix == ".py" else ():
            if isinstance(node, ast.Import):
                names = [(alias.name, None) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [(f"{node.module}.{alias.name}", node.module) for alias in node.names]
            else:
                continue
            for name, module in names:
                target = file_of(name) or (file_of(module) if module else None)
                if target and target != file:
                    found.add(target)
    return imports


# --- The rules -------------------------------------------------------------------------------------------------------


def imports_of(house: Path) -> Imports:
    return python_imports(house) if (house / "__init__.py").exists() else rust_imports(house)


def upward_imports(house: Path, levels: list[set[str]]) -> list[str]:
    """The imports between rooms of a house that do not go to a lower floor."""

    def floor(file: Path) -> int | None:
        room = file.relative_to(house).parts[0].partition(".")[0]
        if room in ("lib", "__init__", "__main__"):
            return None  # the public module of the house, above all floors
        numbers = [number for number, rooms in enumerate(levels) if room in rooms]
        assert len(numbers) == 1, f"docs/design.md has no floor for {room} of {house}"
        return numbers[0]

    wrong = []
    for file, targets in imports_of(house).items():
        for target in targets:
            above, below = floor(file), floor(target)
            same_room = (
                file.relative_to(house).parts[0].partition(".")[0]
                == target.relative_to(house).parts[0].partition(".")[0]
            )
            if below is None or (above is not None and not same_room and below >= above):
                wrong.append(f"{file.relative_to(house)} imports {target.relative_to(house)}")
    return sorted(wrong)


def import_cycle(house: Path) -> list[str]:
    try:
        graphlib.TopologicalSorter(imports_of(house)).prepare()
    except graphlib.CycleError as error:
        return [str(file.relative_to(house)) for file in error.args[1]]
    return []


@pytest.mark.parametrize("house", floors())
def test_no_room_imports_from_a_floor_above_it(house: str) -> None:
    assert upward_imports(ROOT / house, floors()[house]) == []


@pytest.mark.parametrize("house", floors())
def test_there_is_no_import_cycle(house: str) -> None:
    assert import_cycle(ROOT / house) == []


def test_every_room_on_a_floor_exists() -> None:
    for house, levels in floors().items():
        here = {path.name.partition(".")[0] for path in (ROOT / house).iterdir()}
        assert set().union(*levels) - here == set()


PLANTED = {
    "rust": {
        "lib.rs": "mod low;\nmod high;\n",
        "low.rs": "use crate::high::{self, Thing};\n",
        "high.rs": "pub struct Thing;\n",
    },
    "python": {
        "__init__.py": "",
        "low.py": "def f():\n    from planted.high import Thing\n",
        "high.py": "class Thing: ...\n",
    },
}


@pytest.mark.parametrize("language", PLANTED)
def test_a_planted_import_is_found(language: str, tmp_path: Path) -> None:
    house = tmp_path / "planted"
    house.mkdir()
    for name, text in PLANTED[language].items():
        (house / name).write_text(text)
    ending = {"rust": "rs", "python": "py"}[language]
    assert upward_imports(house, [{"low"}, {"high"}]) == [f"low.{ending} imports high.{ending}"]
    assert import_cycle(house) == []
    (house / f"high.{ending}").write_text({"rust": "use super::low;\n", "python": "import planted.low\n"}[language])
    assert len(import_cycle(house)) == 3


@pytest.mark.parametrize("crate", ["crates/core", "crates/view"])
def test_the_core_crates_do_not_depend_on_pyo3(crate: str) -> None:
    assert "pyo3" not in (ROOT / crate / "Cargo.toml").read_text()


def test_texts_are_interned_by_our_own_macro() -> None:
    """PyO3's hangs in a child that is forked while another thread makes the text: `src/py/once.rs` says why."""
    sources = (ROOT / "src").rglob("*.rs")
    # The derive uses it.
    its_own = re.compile(r"\bpyo3::(intern\b|\{[^}]*\bintern\b)|\bderive\([^)]*\bFromPyObject\b")
    assert [str(file) for file in sources if its_own.search(file.read_text())] == []


# --- Unsafe code -----------------------------------------------------------------------------------------------------


def items_with_unsafe_code(text: str) -> Iterator[str]:
    """The function, type or module that each `allow(unsafe_code)` covers."""
    for allowed in re.finditer(r"allow\(unsafe_code\)\]\n", text):
        following = re.sub(r"^\s*(?://|#\[)[^\n]*\n", "", text[allowed.end() :], flags=re.MULTILINE).lstrip()
        item = re.match(
            r"(?:pub(?:\(\w+\))? )?(?:unsafe )?(?:extern \"C\" )?(?:fn|mod|impl(?:<[^>]*>)?) (.*)", following
        )
        if item and "impl" in item[0]:
            yield re.findall(r"\w+", item[1].split(" for ")[-1])[0]
        elif item and not item[1].startswith("drop("):
            yield re.findall(r"\w+", item[1])[0]
        elif item:
            yield re.findall(r"^\s*impl(?:<[^>]*>)? (?:Drop for )?(\w+)", text[: allowed.start()], re.MULTILINE)[-1]
        else:
            yield re.findall(r"\bfn (\w+)", text[: allowed.start()])[-1]


def test_the_list_of_unsafe_code_is_complete_and_current() -> None:
    listed: dict[str, set[str]] = {}
    for file, items in re.findall(r"^\| `([^`]+\.rs)`, ([^|]+)\|", (ROOT / "docs/unsafe.md").read_text(), re.MULTILINE):
        listed.setdefault(file, set()).update(re.findall(r"`(\w+)`", items))
    found = {
        str(file.relative_to(ROOT)): items
        for folder in ("src", "crates")
        for file in (ROOT / folder).rglob("*.rs")
        if (items := set(items_with_unsafe_code(file.read_text())))
    }
    assert listed == found
