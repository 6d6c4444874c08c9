"""The insight provider port."""

from collections.abc import Sequence
from typing import Protocol

from domain.insight import Description


class InsightProvider(Protocol):
    """Something that reads messages and says what they mean for the sale."""

    @property
    def name(self) -> str: ...

    async def describe(self, texts: Sequence[str]) -> Sequence[Description]:
        """Describe each text, in the same order. It may fail in any way."""
        ...
