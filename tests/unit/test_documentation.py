"""The pages agree with the code: log events, settings, links, decisions and file paths."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from leadport import settings

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
SOURCES = sorted((ROOT / "src").rglob("*.py"))

LOG_METHODS = {"debug", "info", "warning", "error", "critical", "exception"}
EVENT_FIELD = "log_event"
"""The field of a class whose instances name the event of a later call of `log`."""

LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
DECISION = re.compile(r"\bD(\d+)\b")
REPOSITORY_PATH = re.compile(r"`((?:src|tests|docs|migrations|bin)/[^`\s]*)`")
PACKAGE_PATH = re.compile(r"`((?:application|domain|infrastructure|interfaces|leadport)/[^`\s]*)`")
SETTING = re.compile(r"`([A-Z][A-Z_]+)`")


def read_section(page: Path, heading: str) -> str:
    """Return the part of a page from a heading of level 2 to the next one."""
    (section,) = re.findall(
        rf"^## {heading}\n(.*?)(?=^## |\Z)", page.read_text(), re.MULTILINE | re.DOTALL
    )
    return str(section)


def read_first_cells(table: str) -> list[str]:
    """Return the first cell of each row below the heading of a Markdown table."""
    return [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")][2:]


def shorten(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# Log events


def find_logged_events(source: str) -> Iterator[str]:
    """Yield the names of events: the first arguments of calls of `log`.

    An argument that is no constant must be the field `log_event` of a class in the same module.
    """
    tree = ast.parse(source)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in calls:
        match call.func:
            case ast.Attribute(value=ast.Name("log"), attr=method) if method in LOG_METHODS:
                event = call.args[0]
            case ast.Attribute(value=ast.Name("log"), attr="log"):
                event = call.args[1]
            case _:
                continue
        if isinstance(event, ast.Constant):
            yield str(event.value)
        else:
            assert ast.unparse(event).endswith(EVENT_FIELD), ast.unparse(call)
            yield from _find_event_fields(tree, calls)


def _find_event_fields(tree: ast.Module, calls: list[ast.Call]) -> Iterator[str]:
    for definition in tree.body:
        if isinstance(definition, ast.ClassDef):
            names = [ast.unparse(n.target) for n in definition.body if isinstance(n, ast.AnnAssign)]
            if EVENT_FIELD in names:
                index = names.index(EVENT_FIELD)
                for call in calls:
                    if ast.unparse(call.func) == definition.name:
                        yield str(ast.literal_eval(call.args[index]))


CAUSES = """
class Cause(NamedTuple):
    status: int
    log_event: str

CAUSES = [Cause(1, "one"), Cause(2, "two")]
log.error(CAUSES[0].log_event)
"""


@pytest.mark.parametrize(
    ("source", "events"),
    [
        ('log.info("one", extra={"id": 2})', ["one"]),
        ('log.log(level, "one")\nlog.exception("two")', ["one", "two"]),
        ('other.info("one")\nlog.isEnabledFor("two")', []),
        (
            CAUSES,
            ["one", "two"],
        ),
    ],
    ids=["constant", "level", "no event", "field"],
)
def test_events_are_found_in_the_source(source: str, events: list[str]) -> None:
    assert list(find_logged_events(source)) == events


def test_operations_page_lists_the_events_that_are_logged() -> None:
    logged = {event for file in SOURCES for event in find_logged_events(file.read_text())}
    table = read_section(ROOT / "docs/OPERATIONS.md", "Log events")

    assert len(logged) > 20
    assert {cell.strip("`") for cell in read_first_cells(table)} == logged


# Settings


def test_settings_of_readme_are_in_the_example_and_in_the_code() -> None:
    table = read_section(ROOT / "README.md", "Settings").partition("\n### ")[0]
    names = {name for cell in read_first_cells(table) for name in SETTING.findall(cell)}
    example = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    constants = {
        node.value
        for node in ast.walk(ast.parse(Path(settings.__file__).read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    assert len(names) > 10
    assert names == example
    assert names - constants == set()


# Links, decisions and paths


def find_broken_links(page: Path) -> Iterator[str]:
    text = CODE_BLOCK.sub("", page.read_text())
    for target in LINK.findall(text):
        if "://" not in target:
            path, _, fragment = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists() or (fragment and fragment not in make_anchors(file)):
                yield target


def make_anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as code hosts make them."""
    headings = HEADING.findall(CODE_BLOCK.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=shorten)
def test_relative_links_of_a_page_resolve(page: Path) -> None:
    assert list(find_broken_links(page)) == []


def test_decisions_that_are_cited_exist() -> None:
    headings = HEADING.findall((ROOT / "docs/DECISIONS.md").read_text())
    decided = {match[1] for heading in headings if (match := re.match(r"D(\d+) ", heading))}
    files = [*SOURCES, *sorted((ROOT / "migrations").rglob("*.py")), *PAGES]
    cited = {
        (shorten(file), f"D{number}")
        for file in files
        for number in DECISION.findall(file.read_text())
        if number not in decided
    }

    assert len(decided) > 70
    assert cited == set()


@pytest.mark.parametrize("page", PAGES, ids=shorten)
def test_paths_that_a_page_names_exist(page: Path) -> None:
    """Paths with a placeholder (`<name>`) are left out, and so are the files that a how-to makes."""
    text = page.read_text()
    made = set(re.findall(r"(?:Create|This writes) `([^`]+)`", text))
    named = {*REPOSITORY_PATH.findall(text), *(f"src/{p}" for p in PACKAGE_PATH.findall(text))}
    paths = sorted(path for path in named - made if "<" not in path)

    assert [path for path in paths if not (ROOT / path).exists()] == []
