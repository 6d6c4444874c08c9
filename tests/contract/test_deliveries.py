"""Every example of a delivery is posted to the webhook and becomes rows in each storage."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from interfaces.meta.delivery import MetaDeliveryParser
from tests.deliveries.examples import EXAMPLES
from tests.deliveries.harness import WebhookHarness, open_webhook_harness
from tests.support.builders import NOON

pytestmark = pytest.mark.slow  # `python -m tests.deliveries` runs them over memory alone

MESSAGES = Path(__file__).parents[2] / "docs" / "MESSAGES.md"


@pytest.fixture(scope="module", params=["memory", "postgres"])
def harness(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebhookHarness]:
    url = request.getfixturevalue("migrated_url") if request.param == "postgres" else None
    with open_webhook_harness(request.param, tmp_path_factory.mktemp("leadport"), url) as webhook:
        yield webhook


@pytest.fixture
def webhook(harness: WebhookHarness) -> WebhookHarness:
    harness.clear_storage()
    return harness


@pytest.mark.parametrize("name", EXAMPLES)
def test_delivery_becomes_the_rows_of_its_example_and_its_repeat_is_skipped(
    webhook: WebhookHarness, name: str
) -> None:
    example = EXAMPLES[name]
    org_id = webhook.connect(*example.addresses)

    answer = webhook.post(example.body)
    stored = webhook.read_stored()

    assert (answer.status_code, answer.json()) == (200, example.counters)
    assert stored.messages == example.messages
    assert stored.events == example.events
    assert stored.deals == len({str(m["identities"]) for m in example.messages})
    assert len(webhook.list_failures(org_id)) == example.counters["failed"]

    again = webhook.post(example.body)

    received, failed = example.counters["received"], example.counters["failed"]
    assert (again.status_code, again.json()) == (
        200,
        {"received": received, "ingested": 0, "skipped": received - failed, "failed": failed},
    )
    assert webhook.read_stored() == stored


@pytest.mark.parametrize("name", EXAMPLES)
def test_ignored_items_are_counted_by_name(name: str) -> None:
    notes = MetaDeliveryParser().parse(EXAMPLES[name].body, NOON).ignored_items

    assert {" ".join(note): times for note, times in notes.items()} == EXAMPLES[name].passed_over


def test_deliveries_for_unconnected_numbers_are_skipped(
    webhook: WebhookHarness,
) -> None:
    before = webhook.read_stored()

    answers = {name: webhook.post(example.body).json() for name, example in EXAMPLES.items()}

    assert answers == {
        name: {"received": received, "ingested": 0, "skipped": received, "failed": 0}
        for name, received in ((n, e.counters["received"]) for n, e in EXAMPLES.items())
    }
    assert webhook.read_stored() == before


def test_documentation_names_every_kind_of_message() -> None:
    documented = {*re.findall(r"`\[?(\w+)\]?`", MESSAGES.read_text(encoding="utf-8"))}
    kinds = {message["kind"] for example in EXAMPLES.values() for message in example.messages}

    assert kinds - documented == set()
