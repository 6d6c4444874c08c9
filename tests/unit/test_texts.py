"""What the pages say is there in Spanish, and nothing else is."""

import re
from pathlib import Path

import pytest
from jinja2 import nodes

from domain.connection import validate_connection
from domain.errors import InvalidInput, NumberConnectedElsewhere
from interfaces.web import connection_form
from interfaces.web.rendering import HERE, NOTICES, template_config
from interfaces.web.texts import CATALOGUES, DOMAIN, LANGUAGES
from tests.support.translations import translations

PLACEHOLDER = re.compile(r"%\(\w+\)s")


def said_in_templates() -> set[str]:
    environment = template_config("https://leads.example").engine_instance.engine
    said: set[str] = set()
    for path in (HERE / "templates").iterdir():
        for call in environment.parse(path.read_text()).find_all(nodes.Call):
            by_name = isinstance(call.node, nodes.Name) and call.node.name == "_"
            by_number = isinstance(call.node, nodes.Getattr) and call.node.attr == "counted"
            if by_name or by_number:
                parts = (call.args[0], *call.args[0].find_all(nodes.Const))
                said |= {part.value for part in parts if isinstance(part, nodes.Const)}
    return {text for text in said if isinstance(text, str)}


def said_by_rules() -> set[str]:
    said = {str(NumberConnectedElsewhere())}
    for external_id in ("", "+1"):
        with pytest.raises(InvalidInput) as refusal:
            validate_connection(external_id, "x" * 81, "x")
        said |= {error.message for error in refusal.value.errors}
    source = Path(connection_form.__file__).read_text()
    return said | set(re.findall(r'FieldError\(\s*"\w+",\s*"([^"]+)"', source))


def all_that_is_said() -> set[str]:
    return said_in_templates() | said_by_rules() | set(NOTICES.values())


def catalogue(language: str) -> dict[str, tuple[str, ...]]:
    return translations(CATALOGUES, language, DOMAIN)


def test_spanish_has_every_text_and_no_other() -> None:
    assert set(catalogue("es")) == all_that_is_said()


def test_english_rewords_only_what_is_said() -> None:
    assert set(catalogue("en")) <= all_that_is_said()


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_have_the_same_placeholders_and_no_markup(language: str) -> None:
    for text, strings in catalogue(language).items():
        for string in strings:
            assert string
            assert set(PLACEHOLDER.findall(string)) == set(PLACEHOLDER.findall(text))
            assert "<" not in string
