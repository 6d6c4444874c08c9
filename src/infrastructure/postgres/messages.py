"""Reads and writes the table `conversation_messages`."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from application.ports.storage import MessageRepository
from domain.connection import Channel
from domain.message import Direction, Message, MessageKey
from infrastructure.postgres import tables
from infrastructure.postgres.batches import (
    columns_of,
    insert_rows,
    json_rows,
    key_rows,
    recordset,
)
from infrastructure.postgres.session import BatchWrite, PostgresSession

MESSAGE = columns_of(tables.conversation_messages, Message)

MESSAGE_KEY = [
    tables.conversation_messages.c.org_id,
    tables.conversation_messages.c.channel,
    tables.conversation_messages.c.external_id,
]

ADD_MESSAGES = BatchWrite.of(
    "new_messages",
    insert_rows("new_messages", MESSAGE, MessageKey._fields).on_conflict_do_nothing(),
)

_asked = json_rows("asked", MESSAGE_KEY)

_is_asked = [column == _asked.c[column.name] for column in MESSAGE_KEY]

LOCKED_MESSAGES = (
    sa.select(*MESSAGE)
    .where(*_is_asked)
    .order_by(*MESSAGE_KEY)
    .with_for_update(of=tables.conversation_messages, key_share=True)
)

_changed = json_rows(
    "new",
    [
        tables.conversation_messages.c.org_id,
        tables.conversation_messages.c.id,
        tables.conversation_messages.c.body,
        tables.conversation_messages.c.content,
    ],
)

CHANGE_MESSAGES = (
    sa.update(tables.conversation_messages)
    .where(
        tables.conversation_messages.c.org_id == _changed.c.org_id,
        tables.conversation_messages.c.id == _changed.c.id,
    )
    .values(body=_changed.c.body, content=_changed.c.content)
)


@dataclass(frozen=True, slots=True)
class PostgresMessageRepository(MessageRepository):
    """Table `conversation_messages`."""

    db: PostgresSession

    async def add(self, messages: Mapping[MessageKey, Message]) -> None:
        self.db.defer_write(ADD_MESSAGES, messages.values())

    async def get_for_update(self, wanted: Set[MessageKey]) -> dict[MessageKey, Message]:
        asked = key_rows(wanted, MessageKey._fields)
        found = (await self.db.execute(LOCKED_MESSAGES, {"asked": asked})).mappings()
        stored = (message_from(row) for row in found)
        return {message.key: message for message in stored}

    async def update(self, messages: Mapping[MessageKey, Message]) -> None:
        if messages:
            await self.db.execute(CHANGE_MESSAGES, {"new": recordset(messages.values())})


def message_from(row: Mapping[Any, Any]) -> Message:
    """The message in the columns of its name."""
    return Message(
        **{
            **row,
            "channel": Channel(row["channel"]),
            "direction": Direction(row["direction"]),
        }
    )


def message_keys(found: Iterable[Sequence[Any]]) -> set[MessageKey]:
    """The keys in rows of MESSAGE_KEY's columns."""
    return {MessageKey(row[0], Channel(row[1]), row[2]) for row in found}
