"""Calls the insight provider with a timeout of 50 ms; after a failure it is skipped for 30 s."""

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

PROVIDER_TIMEOUT_SECONDS = 0.05
"""The whole delivery should be answered within 250 ms (D64)."""

PAUSE_AFTER_FAILURE = timedelta(seconds=30)
"""Without it every delivery would wait for a provider that hangs."""


@dataclass(slots=True)
class DescribeMessages:
    """Describes messages. A provider that fails, hangs or answers nonsense costs the insight only.

    The deal then keeps its insight until its next message.
    """

    provider: InsightProvider
    clock: Clock
    timeout_seconds: float = PROVIDER_TIMEOUT_SECONDS
    _paused_until: datetime | None = None

    @property
    def provider_name(self) -> str:
        """The name of the provider, as insights store it."""
        return self.provider.name

    async def __call__(self, messages: Sequence[InboundMessage]) -> Descriptions:
        """Return the descriptions by channel and external id; some or all may be missing."""
        now = self.clock.now()
        if not messages or (self._paused_until and now < self._paused_until):
            return {}
        call = asyncio.ensure_future(self._describe([message.body for message in messages]))
        done, _ = await asyncio.wait({call}, timeout=self.timeout_seconds)
        if not done:
            # asyncio logs an error that is never retrieved, and its text may quote a person.
            call.add_done_callback(_retrieve_error)
            call.cancel()
        error = _retrieve_error(call) if done else TimeoutError()
        if error is not None:
            self._paused_until = now + PAUSE_AFTER_FAILURE
            log.warning("insights_failed", extra={"error": type(error).__name__})
            return {}
        keys = [(message.address.channel, message.external_id) for message in messages]
        pairs = zip(keys, call.result(), strict=True)
        return {key: answer for key, answer in pairs if isinstance(answer, Description)}

    async def _describe(self, texts: Sequence[str]) -> list[Description]:
        answers = list(await self.provider.describe(texts))
        if len(answers) != len(texts):
            msg = f"{len(answers)} answers to {len(texts)} texts"
            raise ValueError(msg)
        return answers


def _retrieve_error(call: asyncio.Future[list[Description]]) -> BaseException | None:
    return asyncio.CancelledError() if call.cancelled() else call.exception()
