"""Loads gettext catalogues: `.po` files, compiled in memory when they are loaded."""

from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations


def load_catalogue(folder: Path, language: str, domain: str) -> Translations:
    """Compile and return `<folder>/<language>/LC_MESSAGES/<domain>.po`.

    Raises FileNotFoundError where there is no such file, and babel's PoFileError for one that is
    not valid.
    """
    compiled = BytesIO()
    with (folder / language / "LC_MESSAGES" / f"{domain}.po").open("rb") as source:
        write_mo(compiled, read_po(source, locale=language, domain=domain, abort_invalid=True))
    compiled.seek(0)
    return Translations(compiled, domain=domain)
