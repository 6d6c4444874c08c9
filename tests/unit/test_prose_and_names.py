"""The source follows the rules for names and prose of CONTRIBUTING.md, as far as a program can tell."""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
MODULES = sorted(SRC.rglob("*.py"))
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
OTHER_MODULES = [
    path
    for folder in ("benchmarks", "migrations", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path != Path(__file__)
]

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Definition: TypeAlias = Function | ast.ClassDef

MIN_WORDS = 4
"""Words in the first line of a module: a reader of search results sees only that line."""

SENTENCE_END = re.compile(r"[.!?][\"')`]?$")

PORT_VERBS = {
    "add",
    "advance",
    "append",
    "begin",
    "change",
    "check",
    "claim",
    "compare",
    "decrypt",
    "describe",
    "encrypt",
    "end",
    "find",
    "get",
    "has",
    "hash",
    "is",
    "issue",
    "list",
    "lock",
    "parse",
    "read",
    "register",
    "remove",
    "replace",
    "resolve",
    "try",
    "update",
    "upsert",
    "verify",
}
"""The first words that functions of the ports may have. Another verb must be added here."""

PORT_NOUNS = {"name", "now", "key_id", "messages", "changes"}
"""Properties of ports, and the one function that is named like the standard library's."""

AVOIDED_WORDS = re.compile(
    r"(?<![`/])\b(nobody|somebody|anybody|everybody|whoever|anew|for ever|at the door|knocks)\b",
    re.IGNORECASE,
)
"""They hide who acts, or are a riddle. `nobody` in backticks is the account of Unix."""


@cache
def parse(path: Path) -> ast.Module:
    """Parse a file of src/."""
    return ast.parse(path.read_text(encoding="utf-8"))


def locate(path: Path, node: ast.AST, name: str) -> str:
    """Format a place as `file:line name`."""
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)} {name}"


def test_every_module_begins_with_a_sentence() -> None:
    violations = []
    for path in MODULES:
        lines = (ast.get_docstring(parse(path)) or "").splitlines()
        first_line = lines[0] if lines else ""
        if len(first_line.split()) < MIN_WORDS or not SENTENCE_END.search(first_line):
            violations.append(f"{path.relative_to(ROOT)}: {first_line!r}")

    assert violations == []


@cache
def list_port_methods() -> dict[str, set[str]]:
    """Return the methods of each port, by the name of its class."""
    return {
        node.name: {child.name for child in node.body if isinstance(child, Function)}
        for path in (SRC / "application/ports").glob("*.py")
        for node in parse(path).body
        if isinstance(node, ast.ClassDef) and "Protocol" in get_base_names(node)
    }


def get_base_names(node: ast.ClassDef) -> set[str]:
    """Return the last part of the name of each base class."""
    bases = (base.value if isinstance(base, ast.Subscript) else base for base in node.bases)
    return {ast.unparse(base).rpartition(".")[2] for base in bases}


def list_public_definitions(path: Path) -> Iterator[tuple[str, Definition]]:
    """Return the public classes, functions and methods of a module, with their qualified names.

    In infrastructure, a class that implements a port and its methods of the port are left out: the
    port documents them.
    """
    is_adapter = path.is_relative_to(SRC / "infrastructure")
    for node in parse(path).body:
        if not isinstance(node, Definition) or node.name.startswith("_"):
            continue
        if isinstance(node, Function):
            yield node.name, node
            continue
        ports = get_base_names(node) & list_port_methods().keys() if is_adapter else set()
        documented = {name for port in ports for name in list_port_methods()[port]}
        if not ports:
            yield node.name, node
        methods = (child for child in node.body if isinstance(child, Function))
        for method in methods:
            if not method.name.startswith("_") and method.name not in documented:
                yield f"{node.name}.{method.name}", method


def test_every_public_definition_has_a_docstring() -> None:
    violations = [
        locate(path, node, name)
        for path in MODULES
        for name, node in list_public_definitions(path)
        if not ast.get_docstring(node)
    ]

    assert violations == []


def test_functions_of_ports_begin_with_a_verb() -> None:
    violations = [
        f"{port}.{method}"
        for port, methods in list_port_methods().items()
        for method in methods
        if not method.startswith("_")
        and method not in PORT_NOUNS
        and method.partition("_")[0] not in PORT_VERBS
    ]

    assert violations == []


def list_module_names(module: ast.Module) -> set[str]:
    """Return the names that the module itself defines: functions, classes and assignments."""
    names: set[str] = set()
    for node in module.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Assign():
                names |= {name.id for target in node.targets for name in list_names(target)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case _:
                pass
    return names


def list_names(target: ast.AST) -> Iterator[ast.Name]:
    """Return the names that an assignment to the target binds."""
    return (node for node in ast.walk(target) if isinstance(node, ast.Name))


def list_bindings(function: Function | ast.Lambda) -> Iterator[tuple[str, ast.AST]]:
    """Return the names that a function binds: parameters, assignments, loops, nested functions."""
    arguments = function.args
    for argument in (
        *(*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs),
        *filter(None, (arguments.vararg, arguments.kwarg)),
    ):
        yield argument.arg, argument
    body = function.body if isinstance(function.body, list) else [function.body]
    for node in (node for statement in body for node in ast.walk(statement)):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                yield name, node
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, node
            case ast.ClassDef(name=str(name)) | ast.ExceptHandler(name=str(name)):
                yield name, node
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name, node
            case _:
                pass


def list_shadows(path: Path) -> Iterator[tuple[str, str, ast.AST]]:
    """Return function, name and place of each binding that hides a name of its own module."""
    module = parse(path)
    names = list_module_names(module)
    for function in ast.walk(module):
        if isinstance(function, Function | ast.Lambda):
            function_name = getattr(function, "name", "lambda")
            for name, node in list_bindings(function):
                if name in names:
                    yield function_name, name, node


@pytest.mark.parametrize(
    "binding",
    [
        "def f(rows): pass",
        "def f(*, rows=1): pass",
        "def f(*rows): pass",
        "def f():\n    rows = 1",
        "def f():\n    for rows, _ in (): pass",
        "def f():\n    with open('') as rows: pass",
        "def f():\n    if (rows := 1): pass",
        "def f():\n    return [rows for rows in ()]",
        "def f():\n    def rows(): pass",
        "f = lambda rows: rows",
        "class C:\n    def f(self, rows): pass",
    ],
)
def test_every_kind_of_shadow_is_found(tmp_path: Path, binding: str) -> None:
    module = tmp_path / "module.py"
    module.write_text(f"rows = ()\n{binding}\n")

    assert {name for _, name, _ in list_shadows(module)} == {"rows"}


def test_no_local_name_shadows_a_name_of_its_module() -> None:
    violations = {
        locate(path, node, f"{name} in {function}")
        for path in MODULES
        for function, name, node in list_shadows(path)
    }

    assert sorted(violations) == []


def list_texts(path: Path) -> Iterator[tuple[int, str]]:
    """Return line and text of the comments and strings of a module, or of each line of a page."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(source.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(parse(path)):
        match node:
            # A string of one word is a name, not prose: `pwd.getpwnam("nobody")`.
            case ast.Constant(value=str(text), lineno=line) if len(text.split()) > 1:
                yield line, text
            case _:
                pass


def list_avoided_words(paths: Iterable[Path]) -> list[str]:
    """Return file, line and word of each avoided word. A line break may stand in a phrase."""
    return sorted(
        f"{path.relative_to(ROOT)}:{line} {match[0]}"
        for path in paths
        for line, text in list_texts(path)
        for match in AVOIDED_WORDS.finditer(" ".join(text.split()))
    )


@pytest.mark.slow
def test_source_uses_no_avoided_words() -> None:
    assert list_avoided_words([*MODULES, *OTHER_MODULES]) == []


def test_pages_use_no_avoided_words() -> None:
    assert list_avoided_words(PAGES) == []
