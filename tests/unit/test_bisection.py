"""Reasons of failures that bisection finds: what an operator can do, and no data."""

import logging
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from application.errors import ConcurrentUpdate, StorageRefused, StorageUnavailable
from application.ingestion.bisection import bisect_failures
from application.transaction_retries import MAX_TRANSACTION_ATTEMPTS

SECRET = "secret words"


async def find_reasons(batch: Sequence[str], errors: dict[str, Exception]) -> dict[str, str]:
    """The reason of each item that fails alone, where these items raise these errors."""
    reasons: dict[str, str] = {}

    async def store(part: Sequence[str]) -> None:
        for item in part:
            if item in errors:
                raise errors[item]

    async def collect(item: str, reason: str) -> None:
        reasons[item] = reason

    await bisect_failures(store, batch, collect)
    return reasons


@pytest.mark.parametrize("error", [TypeError(SECRET), KeyError(SECRET), RuntimeError(SECRET)])
async def test_unexpected_error_is_logged_once_with_its_place(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    reasons = await find_reasons(["a", "poison", "b", "c"], {"poison": error})

    name = type(error).__name__
    assert reasons == {
        "poison": f"unexpected error ({name}); it is retried, "
        "and the log line unexpected_error has its place: report both"
    }
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert (record.msg, record.__dict__["error"]) == ("unexpected_error", name)
    assert record.__dict__["where"][-1].startswith(__file__ + ":")
    assert record.__dict__["where"][-1].endswith(" store")
    assert SECRET not in str(record.__dict__)


async def test_concurrent_update_is_described_and_no_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls = 0

    async def store(_: Sequence[str]) -> str:
        nonlocal calls
        calls += 1
        raise ConcurrentUpdate(SECRET)

    async def collect(_: str, reason: str) -> str:
        return reason

    reasons = await bisect_failures(store, ["a"], collect)

    assert calls == MAX_TRANSACTION_ATTEMPTS
    assert reasons == [
        (
            "other deliveries changed the same data at the same time; "
            "the retry usually succeeds, and nothing needs to be done"
        )
    ]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_refusal_of_the_storage_keeps_its_text(caplog: pytest.LogCaptureFixture) -> None:
    refusal = StorageRefused("CheckViolation (23514) test_rule")

    assert await find_reasons(["a"], {"a": refusal}) == {"a": "CheckViolation (23514) test_rule"}
    assert not caplog.records


async def test_unavailable_storage_fails_no_item() -> None:
    with pytest.raises(StorageUnavailable):
        await find_reasons(["a", "b"], {"a": StorageUnavailable("away")})


@given(st.lists(st.tuples(st.booleans(), st.text(min_size=4)), max_size=9))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_no_reason_holds_data_and_only_failing_items_have_one(
    caplog: pytest.LogCaptureFixture, items: list[tuple[bool, str]]
) -> None:
    caplog.clear()
    names = [f"{index}" for index in range(len(items))]
    data = dict(zip(names, items, strict=True))
    errors: dict[str, Exception] = {
        name: ValueError(f"<{text}>") for name, (fails, text) in data.items() if fails
    }

    reasons = await find_reasons(names, errors)

    assert reasons.keys() == errors.keys()
    assert len(caplog.records) == len(errors)
    for name in reasons:
        assert f"<{data[name][1]}>" not in reasons[name]
