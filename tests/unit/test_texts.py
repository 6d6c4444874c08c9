"""Unit tests of the catalogues: they have the texts of the pages, and no others."""

import re
from pathlib import Path

import pytest
from jinja2 import nodes

from domain.connection import validate_connection
from domain.errors import InvalidInput, NumberConnectedElsewhere
from interfaces.web import connection_form
from interfaces.web.rendering import NOTICE_TEXTS, WEB_FOLDER, make_template_config
from interfaces.web.texts import CATALOGUE_DOMAIN, CATALOGUES_FOLDER, LANGUAGES
from tests.support.translations import translations

PLACEHOLDER_PATTERN = re.compile(r"%\(\w+\)s")


def find_template_texts() -> set[str]:
    environment = make_template_config("https://leads.example").engine_instance.engine
    texts: set[str] = set()
    for path in (WEB_FOLDER / "templates").iterdir():
        for call in environment.parse(path.read_text()).find_all(nodes.Call):
            is_text = isinstance(call.node, nodes.Name) and call.node.name == "_"
            is_plural = (
                isinstance(call.node, nodes.Getattr) and call.node.attr == "translate_plural"
            )
            if is_text or is_plural:
                arguments = (call.args[0], *call.args[0].find_all(nodes.Const))
                texts |= {
                    argument.value for argument in arguments if isinstance(argument, nodes.Const)
                }
    return {text for text in texts if isinstance(text, str)}


def find_rule_texts() -> set[str]:
    texts = {str(NumberConnectedElsewhere())}
    for external_id in ("", "+1"):
        with pytest.raises(InvalidInput) as refusal:
            validate_connection(external_id, "x" * 81, "x")
        texts |= {error.message for error in refusal.value.errors}
    source = Path(connection_form.__file__).read_text()
    return texts | set(re.findall(r'FieldError\(\s*"\w+",\s*"([^"]+)"', source))


def find_all_texts() -> set[str]:
    return find_template_texts() | find_rule_texts() | set(NOTICE_TEXTS.values())


def load_translations(language: str) -> dict[str, tuple[str, ...]]:
    return translations(CATALOGUES_FOLDER, language, CATALOGUE_DOMAIN)


def test_spanish_catalogue_has_every_text_and_no_other() -> None:
    assert set(load_translations("es")) == find_all_texts()


def test_english_catalogue_has_only_texts_in_use() -> None:
    assert set(load_translations("en")) <= find_all_texts()


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_have_the_same_placeholders_and_no_markup(language: str) -> None:
    for text, strings in load_translations(language).items():
        for string in strings:
            assert string
            assert set(PLACEHOLDER_PATTERN.findall(string)) == set(
                PLACEHOLDER_PATTERN.findall(text)
            )
            assert "<" not in string
