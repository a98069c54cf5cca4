"""The shape of the house: which way imports point, who alone may import what, and the bounds of size.

The bounds are not raised to let a change in: what passes them is split by its reasons to change.
"""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import permutations
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parent.parent
SOURCES: Final = {
    "tailrace": ROOT / "proxy" / "tailrace",
    "tailrace_exporters": ROOT / "exporters" / "tailrace_exporters",
}

FILE_LINES: Final = 400
FUNCTION_LINES: Final = 50

LAYERS: Final = [
    {"records", "ids", "errors", "clock", "bounded", "__init__"},
    {"settings", "settings_checks", "settings_schema", "settings_secrets", "settings_source", "settings_load",
     "settings_doc", "settings_examples", "settings_table", "settings_classifiers", "settings_classifier_checks",
     "settings_template_checks", "templates",
     "collector", "logging", "metrics", "spawn", "datadir", "listen", "internal", "keys", "limits", "prices"},
    {"wire", "chains"},
    {"simulate"},
    {"journal", "upstream", "store"},
    {"classify"},
    {"relay", "writer", "labeller"},
    {"stamps"},
    {"children"},
    {"serve"},
    {"commands"},
    {"cli"},
    {"__main__"},
]  # fmt: skip
"""From the ground up: a module imports its own layer and those below it. No process imports another."""

ONLY: Final = {
    "litestar": {"tailrace.relay.app", "tailrace.relay.api", "tailrace.relay.console"},
    "prometheus_client": {"tailrace.metrics"},
    "httpx": {"tailrace.upstream"},
    "httptools": {"tailrace.upstream", "tailrace.simulate"},
    "google_crc32c": {"tailrace.journal"},
}


def modules() -> Iterator[tuple[str, Path]]:
    for package, folder in SOURCES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join([package, *(part for part in parts if part != "__init__")]), path


MODULES: Final = dict(modules())


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(name: str) -> set[str]:
    """The absolute names that a module imports, at run time or for types, at its top or in a function."""
    found = set()
    for node in ast.walk(tree(MODULES[name])):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            base = node.module or ""
            found |= {f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base for alias in node.names}
    return found


def layer(module: str) -> int:
    first = [*module.split("."), "__init__"][1]
    for index, names in enumerate(LAYERS):
        if first in names:
            return index
    raise AssertionError(f"{module} stands in no layer: say in LAYERS which")


@pytest.mark.parametrize("name", [name for name in MODULES if name.split(".")[0] == "tailrace"])
def test_imports_point_down(name: str) -> None:
    for imported in imports(name):
        if imported.split(".")[0] == "tailrace_exporters":
            pytest.fail(f"{name} imports {imported}: the proxy knows nothing of the exporters")
        if imported in MODULES:
            assert layer(imported) <= layer(name), f"{name} imports {imported}, which stands above it"


def test_no_process_imports_another() -> None:
    for one, other in permutations(("relay", "writer", "labeller"), 2):
        for name in MODULES:
            if name.startswith(f"tailrace.{one}."):
                assert not [found for found in imports(name) if found.startswith(f"tailrace.{other}")], name


def test_exporters_use_the_store_not_the_processes() -> None:
    for name in MODULES:
        if name.startswith("tailrace_exporters"):
            wrong = [
                found
                for found in imports(name)
                if found.startswith(("tailrace.relay", "tailrace.writer", "tailrace.serve"))
            ]
            assert not wrong, f"{name} imports {wrong}"


@pytest.mark.parametrize("library", sorted(ONLY))
def test_a_library_has_one_door(library: str) -> None:
    for name in MODULES:
        if any(found.split(".")[0] == library for found in imports(name)):
            assert name.startswith(tuple(ONLY[library])), f"{name} imports {library}"


HEAVY: Final = {"sqlalchemy", "sqlmodel", "litestar", "httpx", "prometheus_client", "genai_prices"}


def test_the_supervisor_holds_no_library_that_only_its_children_need() -> None:
    """It lives as long as they do: what it imports is paid for in memory all the time, and at each start."""
    reached, path = set(), ["tailrace.commands.serve"]
    while path:
        name = path.pop()
        if name in reached or name.startswith(("tailrace.relay", "tailrace.writer", "tailrace.labeller")):
            continue
        reached.add(name)
        found = imports(name)
        assert not {each.split(".")[0] for each in found} & HEAVY, name
        path += [each for each in found if each in MODULES]
    assert "tailrace.children" in reached


def test_no_two_modules_import_each_other() -> None:
    """No cycle of any length, found by depth-first search."""
    edges = {name: {found for found in imports(name) if found in MODULES} - {name} for name in MODULES}
    state: dict[str, int] = defaultdict(int)

    def visit(name: str, path: list[str]) -> None:
        state[name] = 1
        for found in sorted(edges[name]):
            assert state[found] != 1, "cycle: " + " → ".join([*path, name, found])
            if state[found] == 0:
                visit(found, [*path, name])
        state[name] = 2

    for name in MODULES:
        if state[name] == 0:
            visit(name, [])


@pytest.mark.parametrize("name", sorted(MODULES))
def test_bounds(name: str) -> None:
    lines = MODULES[name].read_text().count("\n")
    assert lines <= FILE_LINES, f"{name} has {lines} lines"
    for node in ast.walk(tree(MODULES[name])):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= FUNCTION_LINES, f"{name}.{node.name} has {length} lines"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_module_says_what_it_owns(name: str) -> None:
    path = MODULES[name]
    if path.read_text().strip():
        assert ast.get_docstring(tree(path)), f"{name} has no docstring"


def repeats(pattern: Any, inside: bool = False) -> Iterator[bool]:
    """Of a parsed expression, for each repeat: whether it stands in a possessive repeat of a group."""
    for kind, value in pattern:
        is_repeat = str(kind) in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}
        if is_repeat:
            yield inside
        within = inside or str(kind) == "POSSESSIVE_REPEAT"
        for part in value if isinstance(value, tuple) else [value]:
            for inner in part if isinstance(part, list) else [part]:
                if hasattr(inner, "getwidth"):
                    yield from repeats(inner, within)


@pytest.mark.parametrize("name", MODULES)
def test_no_expression_repeats_a_repeat_possessively(name: str) -> None:
    """Before Python 3.11.5 it matches something else (CPython gh-106052); Debian 12 has 3.11.2. Write `(?>(…)*)`."""
    module = import_module(name)
    for label, value in vars(module).items():
        if isinstance(value, re.Pattern):
            parser: Any = import_module("re._parser")
            assert not any(repeats(parser.parse(value.pattern, value.flags & ~re.UNICODE))), f"{name}.{label}"


def test_no_two_test_files_have_one_name() -> None:
    """They are no packages: pytest would take the one for the other, in whichever worker meets both."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert not [name for name, count in names.items() if count > 1]
