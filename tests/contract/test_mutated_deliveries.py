"""Mutated deliveries are answered, and an intact message beside the mutation is stored."""

from hypothesis import given, settings

from tests.support.mutations import INTACT_TEXT, mutated_bodies
from tests.support.posting import PostingHarness

REPRODUCIBLE = settings(derandomize=True, database=None, deadline=None)


@settings(REPRODUCIBLE, max_examples=250)
@given(body=mutated_bodies())
def test_intact_message_beside_a_mutated_part_is_stored_in_memory(
    memory_harness: PostingHarness, body: bytes
) -> None:
    assert memory_harness.post(body).intact_text == INTACT_TEXT


@settings(REPRODUCIBLE, max_examples=75)
@given(body=mutated_bodies())
def test_intact_message_beside_a_mutated_part_is_stored_in_postgres(
    postgres_harness: PostingHarness, body: bytes
) -> None:
    assert postgres_harness.post(body).intact_text == INTACT_TEXT
