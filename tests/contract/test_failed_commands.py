"""The commands `leadport failed list` and `leadport failed retry`."""

import json
from datetime import datetime
from typing import Any

import pytest

from application.use_cases import UseCases
from domain.errors import NotFound
from domain.failed_message import FailedMessage
from domain.organization import OrgId
from interfaces.cli import failed
from tests.support.app import Command, Deliver
from tests.support.builders import new_id
from tests.support.failing_storage import REJECTION
from tests.support.items import ITEM_WITHOUT_SENDER
from tests.support.payloads import ANA
from tests.support.stored_rows import StoredRows, list_bodies

pytestmark = pytest.mark.slow


async def test_failed_list_shows_failures_without_their_text(
    failure: FailedMessage, shop: OrgId, leadport: Command
) -> None:
    table = await leadport(failed.failed_message_commands, "list")
    listed = await leadport(failed.failed_message_commands, "list", "--json")

    assert (table.exit_code, listed.exit_code) == (0, 0)
    for shown in (str(failure.id), str(shop), REJECTION):
        assert shown in table.stdout
    (stored,) = json.loads(listed.stdout)
    assert {name: stored[name] for name in ("id", "org_id", "error", "attempts")} == {
        "id": str(failure.id),
        "org_id": str(shop),
        "error": REJECTION,
        "attempts": 1,
    }
    assert datetime.fromisoformat(stored["next_attempt_at"]) == failure.next_attempt_at
    assert datetime.fromisoformat(stored["created_at"])
    assert "poison" not in table.stdout + listed.stdout
    assert ANA not in table.stdout + listed.stdout


async def test_failed_list_can_be_limited_to_one_organisation(
    failure: FailedMessage, shop: OrgId, leadport: Command
) -> None:
    async def list_ids(org_id: Any) -> list[str]:
        listed = await leadport(failed.failed_message_commands, "list", "--json", "--org", org_id)
        return [stored["id"] for stored in json.loads(listed.stdout)]

    assert await list_ids(shop) == [str(failure.id)]
    assert await list_ids(new_id()) == []


@pytest.mark.usefixtures("shop")
async def test_failed_commands_report_that_there_are_no_failures(
    leadport: Command,
) -> None:
    assert (await leadport(failed.failed_message_commands, "list")).stdout == (
        "There are no failed messages.\n"
    )
    assert (await leadport(failed.failed_message_commands, "list", "--json")).stdout == "[]\n"
    assert (
        await leadport(failed.failed_message_commands, "retry", "--all")
    ).stdout == "0 of 0 resolved.\n"


async def test_failed_retry_retries_chosen_failures_before_they_are_due(
    failure: FailedMessage,
    deliver: Deliver,
    leadport: Command,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    await deliver(ITEM_WITHOUT_SENDER)
    (broken,) = (
        stored
        for stored in await operator_use_cases.list_failed_messages()
        if stored.id != failure.id
    )

    result = await leadport(failed.failed_message_commands, "retry", failure.id)

    assert (result.exit_code, result.stdout) == (0, "1 of 1 resolved.\n")
    assert await list_bodies(stored_rows) == ["poison"]
    assert await operator_use_cases.list_failed_messages() == [broken]

    result = await leadport(failed.failed_message_commands, "retry", broken.id, "--json")
    assert json.loads(result.stdout) == {"tried": 1, "resolved": 0, "failed": 1}
    assert [stored.attempts for stored in await operator_use_cases.list_failed_messages()] == [2]


async def test_failed_retry_all_retries_every_failure(
    failure: FailedMessage,
    deliver: Deliver,
    leadport: Command,
    stored_rows: StoredRows,
    operator_use_cases: UseCases,
) -> None:
    await deliver(ITEM_WITHOUT_SENDER)

    first = await leadport(failed.failed_message_commands, "retry", "--all", "--json")
    second = await leadport(failed.failed_message_commands, "retry", "--all", "--json")

    assert json.loads(first.stdout) == {"tried": 2, "resolved": 1, "failed": 1}
    assert json.loads(second.stdout) == {"tried": 1, "resolved": 0, "failed": 1}
    assert await list_bodies(stored_rows) == ["poison"]
    (stored,) = await operator_use_cases.list_failed_messages()
    assert (stored.attempts, stored.id == failure.id) == (3, False)


async def test_failed_retry_names_an_unknown_id_and_retries_nothing(
    failure: FailedMessage, leadport: Command, operator_use_cases: UseCases
) -> None:
    unknown = new_id()

    result = await leadport(failed.failed_message_commands, "retry", failure.id, unknown)

    assert result.exit_code == 1
    assert isinstance(result.exception, NotFound)
    assert str(unknown) in str(result.exception)
    assert str(failure.id) not in str(result.exception)
    assert await operator_use_cases.list_failed_messages() == [failure]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the ids to try again, or --all"),
        ([str(new_id()), "--all"], "name the ids to try again, or --all"),
        (["17"], "'17' is not an id like"),
    ],
    ids=["neither", "both", "no id"],
)
async def test_failed_retry_without_a_clear_choice_is_a_usage_error(
    failure: FailedMessage,
    leadport: Command,
    arguments: list[str],
    message: str,
    operator_use_cases: UseCases,
) -> None:
    result = await leadport(failed.failed_message_commands, "retry", *arguments)

    assert result.exit_code == 2
    assert message in result.stderr
    assert await operator_use_cases.list_failed_messages() == [failure]
