"""The pages agree with the code: log events, settings, links, decisions, file paths and names."""

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
CODE_SPAN = re.compile(r"`([^`\n]+)`")
PYTHON_NAME = re.compile(
    r"\b(?:_?[a-z][a-z0-9]*(?:_[a-z0-9]+)+|_[a-z]\w*|[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]+)+)\b"
)
"""Names with an underscore, and names in CamelCase. A prefix such as `has_` is no name."""

NAMES_FROM_ELSEWHERE = {
    "exc_info": "a key of the log lines, which logging adds",
    "find_or_create": "D1 names it as the design that was not chosen",
    "forbidden_modules": "a key of pyproject.toml",
    "leadport_changes_total": "a metric: prometheus-client adds `_total` to the counter's name",
    "leadport_messages_total": "a metric, likewise",
    "leadport_passed_over_total": "a metric, likewise",
    "pg_dump": "a tool of PostgreSQL",
    "pg_dumpall": "a tool of PostgreSQL",
    "pg_stat_statements": "an extension of PostgreSQL",
    "bot_id": "add-a-channel.md makes it",
    "copy_storage": "add-a-storage-adapter.md makes it",
    "shout_api_key": "add-an-insight-provider.md makes it",
    "ShoutInsights": "add-an-insight-provider.md makes it",
    "test_shout_insights": "add-an-insight-provider.md makes it",
    "test_telegram": "add-a-channel.md makes it",
}
"""Names in the pages that the code does not have, each with the reason."""


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


# Names of the code


def find_names(text: str) -> set[str]:
    """Return the names in the code spans of a page that look like Python's. Blocks are left out."""
    spans = CODE_SPAN.findall(CODE_BLOCK.sub("", text))
    return {name for span in spans for name in PYTHON_NAME.findall(span)}


@pytest.fixture(scope="module")
def words_of_code() -> set[str]:
    """Every word in the files that are code, and in their paths. This module is left out."""
    words = set()
    for folder in ("src", "tests", "benchmarks", "migrations", "bin"):
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts and file != Path(__file__):
                words.update(re.findall(r"\w+", file.read_text(errors="ignore")))
                words.update(re.findall(r"\w+", shorten(file)))
    return words


def test_python_names_are_found_in_code_spans_only() -> None:
    page = "`_tenant_table`, `Deal.make_title`, `ZoneInfo(1)`, `has_`, `D1`, or_not\n```\nin_block\n```"

    assert find_names(page) == {"_tenant_table", "make_title", "ZoneInfo"}


def test_names_of_the_code_in_the_pages_exist(words_of_code: set[str]) -> None:
    """The page's name is a whole word somewhere: a function that was renamed is not found."""
    pages = [page for page in PAGES if page.name != "CHANGELOG.md"]  # it names what was removed
    unknown = {
        (shorten(page), name)
        for page in pages
        for name in find_names(page.read_text()) - words_of_code - NAMES_FROM_ELSEWHERE.keys()
    }

    assert unknown == set()


def test_each_name_from_elsewhere_is_in_a_page_and_not_in_the_code(
    words_of_code: set[str],
) -> None:
    named = {name for page in PAGES for name in find_names(page.read_text())}

    assert NAMES_FROM_ELSEWHERE.keys() - named == set()
    assert NAMES_FROM_ELSEWHERE.keys() & words_of_code == set()


# Checklists


def test_pull_request_template_has_the_checklist_of_contributing() -> None:
    template = (ROOT / ".github/pull_request_template.md").read_text()
    section = read_section(ROOT / "CONTRIBUTING.md", "Checklist of a pull request")
    checks = re.findall(r"^- \[ \] .+$", section, re.MULTILINE)

    assert len(checks) > 5
    assert re.findall(r"^- \[ \] .+$", template, re.MULTILINE) == checks
