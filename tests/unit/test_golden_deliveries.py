"""The golden deliveries' command: it lists the examples that differ, and accepts their outcome."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.deliveries.__main__ import main
from tests.deliveries.examples import (
    EXAMPLE_FOLDER,
    EXAMPLES,
    Example,
    load_examples,
    write_example,
)

TEXT, STATUS = "whatsapp-text", "whatsapp-status-sent"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two examples that are as expected."""
    for name in (TEXT, STATUS):
        shutil.copy(EXAMPLE_FOLDER / f"{name}.json", tmp_path)
    return tmp_path


def run(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["--folder", str(folder), *options])


def test_examples_that_are_as_expected_are_not_listed(folder: Path) -> None:
    result = run(folder)

    assert (result.exit_code, result.stdout) == (0, "")
    assert "0 of 2 differ" in result.stderr


def test_an_example_that_differs_is_listed_and_left_as_it_is(folder: Path) -> None:
    wrong = replace(EXAMPLES[TEXT], events={"lead_captured": 2})
    write_example(folder, TEXT, wrong)

    result = run(folder)

    assert (result.exit_code, result.stdout) == (1, f"{TEXT}\n")
    assert load_examples(folder)[TEXT] == wrong


def test_accepting_rewrites_a_new_example_and_no_other(folder: Path) -> None:
    new = Example(EXAMPLES[TEXT].delivery, counters={}, messages=[], events={}, passed_over={})
    write_example(folder, TEXT, new)
    before = (folder / f"{STATUS}.json").stat().st_mtime_ns

    result = run(folder, "--accept")

    assert (result.exit_code, result.stdout) == (0, f"{TEXT}\n")
    assert load_examples(folder) == {name: EXAMPLES[name] for name in (STATUS, TEXT)}
    assert (folder / f"{STATUS}.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_written_as_its_file_is(name: str, tmp_path: Path) -> None:
    write_example(tmp_path, name, EXAMPLES[name])

    assert (tmp_path / f"{name}.json").read_bytes() == (
        EXAMPLE_FOLDER / f"{name}.json"
    ).read_bytes()
