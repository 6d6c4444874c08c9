"""Asks the insight provider, and waits for it no longer than nobody notices."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from application.ports.clock import Clock
from application.ports.insights import InsightProvider
from domain.inbound import InboundMessage
from domain.insight import Description
from domain.planning.deal_plan import Descriptions

log = logging.getLogger(__name__)

PATIENCE = 0.05
"""Seconds; a delivery should be answered within 250 ms."""

REST = timedelta(seconds=30)
"""How long a provider that failed is left alone, so that not every delivery waits for it."""


@dataclass(slots=True)
class DescribeMessages:
    """Describes messages, at no cost but the insight where the provider fails, hangs or talks nonsense.

    The deal keeps its last one then, until its next message.
    """

    insights: InsightProvider
    clock: Clock
    _rests_until: datetime | None = None

    async def __call__(self, messages: Sequence[InboundMessage]) -> Descriptions:
        """What is known of each message by channel and id; it may lack some, or all."""
        now = self.clock.now()
        if not messages or (self._rests_until and now < self._rests_until):
            return {}
        asked = asyncio.ensure_future(self._ask([message.body for message in messages]))
        done, _ = await asyncio.wait({asked}, timeout=PATIENCE)
        if not done:
            asked.add_done_callback(_error_of)
            asked.cancel()
        error = _error_of(asked) if done else TimeoutError()
        if error is not None:
            self._rests_until = now + REST
            log.warning("insights_failed", extra={"error": type(error).__name__})
            return {}
        keys = [(message.address.channel, message.external_id) for message in messages]
        pairs = zip(keys, asked.result(), strict=True)
        return {key: answer for key, answer in pairs if isinstance(answer, Description)}

    async def _ask(self, texts: Sequence[str]) -> list[Description]:
        answers = list(await self.insights.describe(texts))
        if len(answers) != len(texts):
            msg = f"{len(answers)} answers to {len(texts)} texts"
            raise ValueError(msg)
        return answers


def _error_of(asked: asyncio.Future[list[Description]]) -> BaseException | None:
    """Why it failed. One that nobody asks for is logged, and may quote a person."""
    return asyncio.CancelledError() if asked.cancelled() else asked.exception()
