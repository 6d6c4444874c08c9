"""Reads and writes the table `conversation_messages`."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from application.ports.storage import MessageRepository
from domain.connection import Channel
from domain.message import Direction, Message, MessageKey
from infrastructure.postgres import tables
from infrastructure.postgres.batches import BatchParameter, build_batch_insert, list_columns
from infrastructure.postgres.session import BatchWrite, PostgresSession

_messages = tables.conversation_messages.c

MESSAGE_COLUMNS = list_columns(tables.conversation_messages, Message)
MESSAGE_KEY_COLUMNS = [_messages.org_id, _messages.channel, _messages.external_id]

ADD_MESSAGES = BatchWrite.build(
    "new_messages",
    build_batch_insert(
        "new_messages", MESSAGE_COLUMNS, MessageKey._fields
    ).on_conflict_do_nothing(),
)
_wanted = BatchParameter("wanted", MESSAGE_KEY_COLUMNS)
LOCK_MESSAGES = (
    sa.select(*MESSAGE_COLUMNS)
    .where(*(column == _wanted.c[column.name] for column in MESSAGE_KEY_COLUMNS))
    .order_by(*MESSAGE_KEY_COLUMNS)
    .with_for_update(of=tables.conversation_messages, key_share=True)
)
_changed = BatchParameter(
    "changed", [_messages.org_id, _messages.id, _messages.body, _messages.content]
)
UPDATE_MESSAGES = (
    sa.update(tables.conversation_messages)
    .where(_messages.org_id == _changed.c.org_id, _messages.id == _changed.c.id)
    .values(body=_changed.c.body, content=_changed.c.content)
)


@dataclass(frozen=True, slots=True)
class PostgresMessageRepository(MessageRepository):
    """Table `conversation_messages`."""

    session: PostgresSession

    async def add(self, messages: Mapping[MessageKey, Message]) -> None:
        self.session.defer_write(ADD_MESSAGES, messages.values())

    async def get_for_update(self, keys: Set[MessageKey]) -> dict[MessageKey, Message]:
        result = await self.session.execute(LOCK_MESSAGES, _wanted.bind(keys))
        messages = [make_message(row) for row in result.mappings()]
        return {message.key: message for message in messages}

    async def update(self, messages: Mapping[MessageKey, Message]) -> None:
        if messages:
            changed = _changed.bind_entities(messages.values())
            await self.session.execute(UPDATE_MESSAGES, changed)


def make_message(row: Mapping[Any, Any]) -> Message:
    """Make a message of a row with MESSAGE_COLUMNS."""
    return Message(
        **{
            **row,
            "channel": Channel(row["channel"]),
            "direction": Direction(row["direction"]),
        }
    )


def make_message_keys(rows: Iterable[Sequence[Any]]) -> set[MessageKey]:
    """Make message keys of rows with organisation, channel and external id."""
    return {MessageKey(row[0], Channel(row[1]), row[2]) for row in rows}
