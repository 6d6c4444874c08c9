"""The timeouts of pending deliveries leave time for an answer within 2 s."""

from application.ingestion.delivery_queue import (
    DEADLINE_CHECK_INTERVAL_SECONDS,
    SILENT_STORAGE_TIMEOUT_SECONDS,
)


def test_silent_storage_is_given_up_within_1750_ms() -> None:
    assert SILENT_STORAGE_TIMEOUT_SECONDS + DEADLINE_CHECK_INTERVAL_SECONDS < 1.75
