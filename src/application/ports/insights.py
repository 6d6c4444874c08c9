"""The insight provider port."""

from collections.abc import Sequence
from typing import Protocol

from domain.insight import Description


class InsightProvider(Protocol):
    """Describes what messages mean for the sale.

    The texts are what customers wrote. A provider that calls another service sends them out of
    this process: its documentation must say so.
    """

    @property
    def name(self) -> str:
        """The name that `deal_insights.provider` stores. It must never change."""
        ...

    async def describe(self, texts: Sequence[str]) -> Sequence[Description]:
        """Return one description for each text, in the same order.

        The caller waits 50 ms at most (`DescribeMessages`, D64), and treats every error, a wrong
        count and a wrong type as no description.
        """
        ...
