"""Catalogues as translators see them."""

from pathlib import Path

from babel.messages.pofile import read_po


def translations(folder: Path, language: str, domain: str) -> dict[str, tuple[str, ...]]:
    """The translations of each text: several where it depends on a number."""
    with (folder / language / "LC_MESSAGES" / f"{domain}.po").open("rb") as source:
        messages = [m for m in read_po(source, locale=language, abort_invalid=True) if m.id]
    assert not any(message.fuzzy for message in messages)
    return {
        m.id if isinstance(m.id, str) else m.id[0]: (
            (m.string,) if isinstance(m.string, str) else tuple(m.string or ())
        )
        for m in messages
    }
