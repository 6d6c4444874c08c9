"""Every choice that the settings allow has an adapter in the container."""

from pathlib import Path

import pytest

from leadport.container import Container
from leadport.settings import CHOICES, Settings


def make_container(folder: Path, **variables: str) -> Container:
    container = Container()
    environ = {"LEADPORT_DATA_DIR": str(folder), "DATABASE_URL": "postgresql://db.example/leadport"}
    container.settings.override(Settings.read({**environ, **variables}))
    return container


@pytest.mark.parametrize("choice", CHOICES["INSIGHT_PROVIDER"])
def test_insight_provider_of_each_choice_bears_its_name(choice: str, tmp_path: Path) -> None:
    assert make_container(tmp_path, INSIGHT_PROVIDER=choice).insights().name == choice


@pytest.mark.parametrize("choice", CHOICES["STORAGE"])
def test_storage_of_each_choice_can_be_made(choice: str, tmp_path: Path) -> None:
    assert make_container(tmp_path, STORAGE=choice).transactions()


@pytest.mark.parametrize("choice", CHOICES["LEADPORT_LANGUAGE"])
def test_parser_of_each_language_can_be_made(choice: str, tmp_path: Path) -> None:
    assert make_container(tmp_path, LEADPORT_LANGUAGE=choice).parser()
