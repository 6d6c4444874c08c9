"""Compares each golden delivery with its outcome of today; `--accept` writes that outcome down."""

import json
import logging
import sys
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from interfaces.meta.delivery import MetaDeliveryParser
from tests.deliveries.examples import EXAMPLE_FOLDER, Example, load_examples, write_example
from tests.deliveries.harness import WebhookHarness, open_webhook_harness
from tests.support.builders import NOON


def observe(webhook: WebhookHarness, example: Example) -> Example:
    """Post the example to an empty storage, and return it with the outcome of that."""
    webhook.clear_storage()
    webhook.connect(*example.addresses)
    counters = webhook.post(example.body).json()
    stored = webhook.read_stored()
    ignored_items = MetaDeliveryParser().parse(example.body, NOON).ignored_items
    outcome = {
        "counters": counters,
        "messages": stored.messages,
        "events": dict(sorted(stored.events.items())),
        "passed_over": {" ".join(item): count for item, count in ignored_items.items()},
    }
    return replace(example, **json.loads(json.dumps(outcome)))


def find_changed_examples(folder: Path) -> dict[str, Example]:
    """Return each example of the folder whose outcome differs, with the outcome of today.

    Parts that are as expected keep the order of their members.
    """
    changed = {}
    with (
        TemporaryDirectory() as data_folder,
        open_webhook_harness("memory", Path(data_folder), None) as webhook,
    ):
        for name, example in load_examples(folder).items():
            observed = asdict(observe(webhook, example))
            expected = asdict(example)
            if differing := {
                key: observed[key] for key in expected if observed[key] != expected[key]
            }:
                changed[name] = replace(example, **differing)
    return changed


@click.command(help=__doc__)
@click.option("--accept", is_flag=True, help="Rewrite the files whose outcome differs.")
@click.option(
    "--folder",
    default=EXAMPLE_FOLDER,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the examples are; by default beside this module.",
)
def main(*, accept: bool, folder: Path) -> None:
    """List the examples that differ, one name a line; exit with 1 unless they are accepted."""
    changed = find_changed_examples(folder)
    for name, example in changed.items():
        click.echo(name)
        if accept:
            write_example(folder, name, example)
    verb = "rewritten" if accept else "differ"
    click.echo(f"{len(changed)} of {len(load_examples(folder))} {verb}", err=True)
    sys.exit(1 if changed and not accept else 0)


if __name__ == "__main__":
    logging.getLogger().addHandler(logging.NullHandler())  # what the service logs is not the result
    main()
