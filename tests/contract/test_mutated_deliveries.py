"""Whatever stands in a delivery, it is answered, and an intact message beside it is kept."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.connection import Address, Channel
from domain.failed_message import FailedMessage
from domain.message import Message
from domain.organization import OrgId
from interfaces.meta.instagram.parser import INSTAGRAM_OBJECT as INSTAGRAM
from interfaces.meta.whatsapp.items import WHATSAPP_OBJECT as WHATSAPP
from tests.deliveries.examples import EXAMPLES
from tests.deliveries.harness import WebhookHarness, open_webhook_harness
from tests.support.builders import NOON

Json: TypeAlias = Any
Object: TypeAlias = dict[str, Any]

NUMBER, ACCOUNT = "106500000000001", "17841400000000001"
SECONDS = 1795347000
WORDS = "¿me leen?"

CANNOT_BE_READ = {
    "an id is longer than 512 characters",
    "the item of `messages` is not an object",
    "`from` and `from_user_id` are missing",
    "`message` is not an object",
    "`postback` is not an object",
    "`sender.id` is missing",
}
"""For no other reason may a message fail."""

SERIAL = "@serial@"
"""Stands in ids, because each delivery is a new one."""

AGAIN = "@again@"
"""Before a key: the same key once more."""


def raw(text: str) -> str:
    """Stand for something that goes into the body as it is, for Python could not write it."""
    return f"@raw {text.encode().hex()}@"


def nested(levels: int, opening: str = "[", closing: str = "]", inmost: str = "") -> str:
    return opening * levels + inmost + closing * levels


def encoded(delivery: Json) -> bytes:
    """Write the body, and in it whatever JSON's writers would not."""
    body = json.dumps(delivery).replace(f'"{AGAIN}', '"')
    return re.sub(
        '"@raw ([0-9a-f]+)@"', lambda found: bytes.fromhex(found[1]).decode(), body
    ).encode()


JUNK = [
    *("null", "true", "false", "0", "-1", "1.5", "7", "[]", "{}", "[[]]", "[null]", '{"":null}'),
    *('""', '" "', '"x"', '"true"', '"NaN"', '"-0"', '"١٢٣"', '"1e9"', r'"\u202e\u2028"', r'"\n"'),
    *(r'"\u0000"', r'"a\u0000b"', r'"\ud800"', r'"a\udfffb"', r'"\ud83d\ude00"', r'"\udc00\ud800"'),
    *("1e400", "-1e400", "1e-400", "1e308", "NaN", "Infinity", "-Infinity", "9007199254740993"),
    *("9" * 30, "-" + "9" * 400, "9" * 5000, "0." + "3" * 400, f'"{"9" * 400}"', f'"{"x" * 513}"'),
    *(f'"{SECONDS}"', f'"{SECONDS}000"', f"{SECONDS}", f"{SECONDS}000", f"{SECONDS}000000"),
    *('"2026-11-22T11:30:00Z"', f'"{SECONDS}.5"', f"-{SECONDS}", '"253402300800"', "1e12"),
    *('{"id":{}}', '{"id":null}', '[{"id":1}]', '{"type":"text"}', '[["id","1"]]', '"wamid.x"'),
    *(nested(200), nested(200, '{"a":', "}", "0"), f'"{"ñ" * 100_000}"', r'{"\u0000":"\ud800"}'),
]
KEYS = [
    *("type", "text", "id", "mid", "from", "sender", "is_echo", "group_id", "referral", "errors"),
    *("message", "messages", "statuses", "field", "value", "object", "context", "\x00", ""),
]


def hello() -> Object:
    """Say WORDS on WhatsApp."""
    return {
        "from": f"1555010{SERIAL}",
        "id": f"intact.{SERIAL}",
        "timestamp": str(SECONDS),
        "type": "text",
        "text": {"body": WORDS},
    }


def direct_hello() -> Object:
    """Say WORDS on Instagram."""
    return {
        "sender": {"id": f"96{SERIAL}"},
        "recipient": {"id": ACCOUNT},
        "timestamp": SECONDS * 1000,
        "message": {"mid": f"intact.{SERIAL}", "text": WORDS},
    }


def change_of(*messages: Json, **value: Json) -> Object:
    base = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": NUMBER}}
    return {"field": "messages", "value": base | value | {"messages": list(messages)}}


def entry_of(*changes: Json) -> Object:
    return {"id": "102200000000007", "changes": list(changes)}


def whatsapp(*entries: Json) -> Object:
    return {"object": WHATSAPP, "entry": list(entries)}


def account_of(*items: Json) -> Object:
    return {"id": ACCOUNT, "time": SECONDS * 1000, "messaging": list(items)}


def instagram(*entries: Json) -> Object:
    return {"object": INSTAGRAM, "entry": list(entries)}


class Place(NamedTuple):
    """A part of an example, something intact of the same rank, and what makes them a delivery."""

    part: Json
    intact: Json
    delivery: Callable[..., Json]


def places(example: Json) -> Iterator[Place]:
    """Take the example apart, into parts of every rank."""
    for part in example if isinstance(example, list) else [example]:
        yield Place(part, whatsapp(entry_of(change_of(hello()))), lambda *parts: list(parts))
        for entry in part.get("entry", ()):
            if part.get("object") == INSTAGRAM:
                yield Place(entry, account_of(direct_hello()), instagram)
                for item in (*entry.get("messaging", ()), *entry.get("standby", ())):
                    yield Place(item, direct_hello(), lambda *items: instagram(account_of(*items)))
            elif part.get("object") == WHATSAPP:
                yield Place(entry, entry_of(change_of(hello())), whatsapp)
                yield from changes(entry)


def changes(entry: Object) -> Iterator[Place]:
    for change in entry["changes"]:
        yield Place(change, change_of(hello()), lambda *changes: whatsapp(entry_of(*changes)))
        value = change["value"]
        if change["field"] == "messages" and "messages" in value:
            beside = {name: part for name, part in value.items() if name != "messages"}

            def delivery(*messages: Json, beside: Object = beside) -> Object:
                return whatsapp(entry_of(change_of(*messages, **beside)))

            for message in value["messages"]:
                yield Place(message, hello(), delivery)


PLACES = [place for example in EXAMPLES.values() for place in places(example.delivery)]


def slots(part: Json, within: Json, at: Any) -> Iterator[tuple[Json, Any]]:
    """Where everything stands, from outside to inside."""
    yield within, at
    inner: Iterable[tuple[Any, Json]] = ()
    if isinstance(part, dict):
        inner = part.items()
    elif isinstance(part, list):
        inner = enumerate(part)
    for key, value in inner:
        yield from slots(value, part, key)


def mutate(part: Json, draw: st.DrawFn) -> Json:
    """Change one thing anywhere in it."""
    root = [part]
    within, at = draw(st.sampled_from([*slots(part, root, 0)]))
    junk = raw(draw(st.sampled_from(JUNK)))
    match draw(st.sampled_from(["junk", "drop", "wrap", "again", "add", "copy"])):
        case "drop" if within is not root:
            del within[at]
        case "wrap":
            old = within[at]
            wrapped = [[old], [[old, old]], {"0": old}, [old, None]]
            wrapped += [[*map(list, old.items())]] if isinstance(old, dict) else []
            within[at] = draw(st.sampled_from(wrapped))
        case "again" if isinstance(within, dict):
            within[f"{AGAIN}{at}"] = junk
        case "add" if isinstance(within[at], dict):
            within[at][draw(st.sampled_from(KEYS))] = junk
        case "add" if isinstance(within[at], list):
            within[at].append(junk)
        case "copy":
            elsewhere, there = draw(st.sampled_from([*slots(part, root, 0)]))
            within[at] = deepcopy(elsewhere[there])
        case _:
            within[at] = junk
    return root[0]


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A delivery of something mutated and something intact."""
    part, intact, delivery = draw(st.sampled_from(PLACES))
    mutated = deepcopy(part)
    for _ in range(draw(st.integers(1, 4))):
        mutated = mutate(mutated, draw)
    return encoded(delivery(*draw(st.permutations([mutated, intact]))))


@dataclass
class Posted:
    """What was posted to an organisation that has all the numbers."""

    webhook: WebhookHarness
    org_id: OrgId
    serials: Iterator[int] = field(default_factory=lambda: count(1))
    failures: int = 0

    def post(self, template: bytes) -> "Answered":
        """Post it as if for the first time, and see that it was kept, whatever it is."""
        serial = str(next(self.serials)).encode()
        body = template.replace(SERIAL.encode(), serial)
        for id_ in (b"wamid.", b"aWdfZAG1"):
            body = body.replace(id_, id_ + serial)

        answer = self.webhook.post(body)

        assert answer.status_code == 200
        counters = answer.json()
        parts = ("ingested", "skipped", "failed")
        assert counters["received"] == sum(counters[part] for part in parts)
        failed = self.webhook.list_failures(self.org_id)[self.failures :]
        self.failures += len(failed)
        assert len(failed) <= counters["failed"]  # the same failure is kept once
        assert {failure.error for failure in failed} <= CANNOT_BE_READ
        assert all(failure.payload["entry"] for failure in failed)
        assert self.webhook.client.get("/metrics").status_code == 200
        return Answered(self, serial.decode(), counters, failed)


@dataclass(frozen=True)
class Answered:
    """What was answered, and what is stored since."""

    posted: Posted
    serial: str
    counters: dict[str, int]
    failed: Sequence[FailedMessage]

    def message(self, id_: str, channel: Channel = Channel.WHATSAPP) -> Message | None:
        """Find a message by its id."""
        id_ = id_.replace(SERIAL, self.serial)
        return self.posted.webhook.find_message(self.posted.org_id, channel, id_)

    @property
    def intact(self) -> str | None:
        """What the message says that was left intact."""
        found = (self.message(f"intact.{SERIAL}", channel) for channel in Channel)
        return next((message.body for message in found if message), None)


@pytest.fixture(scope="module")
def in_memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Posted]:
    with open_webhook_harness("memory", tmp_path_factory.mktemp("leadport"), None) as webhook:
        yield connected(webhook)


@pytest.fixture(scope="module")
def in_the_database(
    migrated_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Posted]:
    with open_webhook_harness(
        "postgres", tmp_path_factory.mktemp("leadport"), migrated_url
    ) as webhook:
        yield connected(webhook)


def connected(webhook: WebhookHarness) -> Posted:
    webhook.clear_storage()
    ours = {Address(Channel.WHATSAPP, NUMBER), Address(Channel.INSTAGRAM, ACCOUNT)}
    theirs = (example.addresses for example in EXAMPLES.values())
    return Posted(webhook, webhook.connect(*ours.union(*theirs)))


ALWAYS_THE_SAME = settings(derandomize=True, database=None, deadline=None)


@settings(ALWAYS_THE_SAME, max_examples=250)
@given(body=bodies())
def test_an_intact_message_is_kept_in_memory(in_memory: Posted, body: bytes) -> None:
    assert in_memory.post(body).intact == WORDS


@settings(ALWAYS_THE_SAME, max_examples=75)
@given(body=bodies())
def test_an_intact_message_is_kept_in_the_database(in_the_database: Posted, body: bytes) -> None:
    assert in_the_database.post(body).intact == WORDS


@pytest.fixture(params=["in_memory", "in_the_database"])
def posted(request: pytest.FixtureRequest) -> Posted:
    """Each storage in turn."""
    found: Posted = request.getfixturevalue(request.param)
    return found


def other(**parts: Json) -> Object:
    """Another message on WhatsApp than the intact one."""
    return hello() | {"from": "15550100142", "id": f"other.{SERIAL}"} | parts


def direct_other(**parts: Json) -> Object:
    """Another message on Instagram than the intact one."""
    return direct_hello() | {"message": {"mid": f"other.{SERIAL}", **parts}}


def beside(message: Json) -> bytes:
    """Write it into one value with the intact one, which comes last."""
    if isinstance(message, dict) and "recipient" in message:
        return encoded(instagram(account_of(message, direct_hello())))
    return encoded(whatsapp(entry_of(change_of(message, hello()))))


def test_a_text_of_three_megabytes_is_kept_whole(posted: Posted) -> None:
    words = "otra vez " * 333_333

    answered = posted.post(beside(other(text={"body": words})))

    assert answered.intact == WORDS
    message = answered.message(f"other.{SERIAL}")
    assert message
    assert message.body == words


def test_a_thousand_messages_of_three_megabytes_are_all_kept(posted: Posted) -> None:
    words = "otra vez " * 320
    many = [
        other(id=f"{n}.{SERIAL}", text={"body": words}, **{"from": f"155501{n:05}"})
        for n in range(1000)
    ]

    answered = posted.post(encoded(whatsapp(entry_of(change_of(*many, hello())))))

    assert answered.counters["ingested"] == 1001
    for n in range(0, 1000, 100):
        message = answered.message(f"{n}.{SERIAL}")
        assert message
        assert message.body == words


DEEP = [raw(nested(900)), raw(nested(900, '{"a":', "}", "0"))]
NESTED: dict[str, Callable[[Json], Object]] = {
    "text": lambda deep: other(text=deep),
    "body": lambda deep: other(text={"body": deep}),
    "type of tomorrow": lambda deep: other(type="hologram", hologram={"a": deep}),
    "choice": lambda deep: other(type="interactive", interactive={"button_reply": deep}),
    "form": lambda deep: other(
        type="interactive", interactive={"nfm_reply": {"response_json": deep}}
    ),
    "form beside": lambda deep: other(
        type="interactive", interactive={"nfm_reply": {"response_json": nested(900), "name": deep}}
    ),
    "reply": lambda deep: other(context=deep),
    "referral": lambda deep: other(referral={"source_id": deep}),
    "unheard of": lambda deep: other(thoughts=deep),
    "time": lambda deep: other(timestamp=deep),
    "id": lambda deep: other(id=deep),
    "a NUL beside": lambda deep: other(thoughts=deep, text={"body": "a\x00b"}),
    "half a letter beside": lambda deep: other(thoughts=deep, text={"body": "a\ud800b"}),
    "Instagram's text": lambda deep: direct_other(text=deep),
    "Instagram's attachment": lambda deep: direct_other(
        attachments=[{"type": "x", "payload": deep}]
    ),
    "Instagram's part of tomorrow": lambda deep: direct_other(thoughts=deep),
    "Instagram's id": lambda deep: direct_other(mid=deep),
}


@pytest.mark.parametrize("deep", DEEP, ids=["lists", "objects"])
@pytest.mark.parametrize("where", NESTED)
def test_what_is_nested_900_deep_keeps_no_message_from_being_kept(
    posted: Posted, where: str, deep: str
) -> None:
    answered = posted.post(beside(NESTED[where](deep)))

    assert answered.counters == {"received": 2, "ingested": 2, "skipped": 0, "failed": 0}
    assert answered.intact == WORDS


@pytest.mark.parametrize("deep", DEEP, ids=["lists", "objects"])
def test_what_cannot_be_read_is_kept_however_deep(posted: Posted, deep: str) -> None:
    answered = posted.post(beside(other(thoughts=deep, **{"from": None})))

    assert answered.counters == {"received": 2, "ingested": 1, "skipped": 0, "failed": 1}
    assert answered.intact == WORDS


def test_what_is_nested_without_end_is_answered(in_memory: Posted) -> None:
    for levels in (1000, 10_000, 500_000):
        answer = in_memory.webhook.post(beside(other(thoughts=raw(nested(levels)))))

        assert answer.status_code == 200


NUMBERS = {
    name: raw(number)
    for name, number in {
        "long": "9" * 400,
        "long and negative": "-" + "9" * 400,
        "long and small": "0." + "0" * 399 + "1",
        "longer than Python reads": "9" * 5000,
        "long in a string": f'"{"8" * 400}"',
        "infinite": "1e400",
        "infinite and negative": "-1e400",
        "no number": "NaN",
    }.items()
}
COUNTED: dict[str, Callable[[Json], Object]] = {
    "time": lambda number: other(timestamp=number),
    "id": lambda number: other(id=number, text={"body": SERIAL}),
    "latitude": lambda number: other(type="location", location={"latitude": number}),
    "quantity and price": lambda number: other(
        type="order", order={"product_items": [{"quantity": number, "item_price": number}]}
    ),
    "code": lambda number: other(type="unsupported", errors=[{"code": number}]),
    "text": lambda number: other(text={"body": number}),
    "answer in a form": lambda number: other(
        type="interactive", interactive={"nfm_reply": {"response_json": {"edad": number}}}
    ),
    "part of tomorrow": lambda number: other(type="hologram", hologram={"depth": number}),
    "Instagram's time": lambda number: direct_other(text="hola") | {"timestamp": number},
    "Instagram's sticker": lambda number: direct_other(
        attachments=[{"type": "image", "payload": {"sticker_id": number}}]
    ),
}


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("where", COUNTED)
def test_no_number_keeps_a_message_from_being_kept(posted: Posted, where: str, number: str) -> None:
    answered = posted.post(beside(COUNTED[where](NUMBERS[number])))

    assert answered.counters == {"received": 2, "ingested": 2, "skipped": 0, "failed": 0}
    assert answered.intact == WORDS


@pytest.mark.parametrize(
    "time", ["1e400", "-1e400", "NaN", "-1", "9" * 400, '"99999999999999999"', '"mañana"', "[]"]
)
def test_a_message_without_a_sensible_time_was_sent_when_it_arrived(
    posted: Posted, time: str
) -> None:
    message = posted.post(beside(other(timestamp=raw(time)))).message(f"other.{SERIAL}")

    assert message
    assert message.sent_at == NOON


@pytest.mark.parametrize(
    ("twice", "kind", "body"),
    [
        ({"id": "first", f"{AGAIN}id": f"other.{SERIAL}"}, "text", WORDS),
        ({f"{AGAIN}type": "image"}, "image", "[image]"),
        ({f"{AGAIN}text": {"body": "hola"}}, "text", "hola"),
        ({f"{AGAIN}text": {"body": "hola", f"{AGAIN}body": "adiós"}}, "text", "adiós"),
        ({f"{AGAIN}from": "15550100143"}, "text", WORDS),
        ({f"{AGAIN}timestamp": None}, "text", WORDS),
    ],
)
def test_of_two_parts_with_one_name_the_last_counts(
    posted: Posted, twice: Object, kind: str, body: str
) -> None:
    answered = posted.post(beside(other(**twice)))

    message = answered.message(f"other.{SERIAL}")
    assert message
    assert (message.kind, message.body, answered.intact) == (kind, body, WORDS)


@pytest.mark.parametrize(
    ("message", "body", "content"),
    [
        (other(text={"body": "a\x00b\ud800c"}), "a\ufffdb\ufffdc", {}),
        (other(text={"body": "\x00"}), "\ufffd", {}),
        (other(id=f"other.{SERIAL}\x00"), WORDS, {}),
        (
            other(type="document", document={"filename": "a\x00b.pdf"}),
            "[document: a\ufffdb.pdf]",
            {"media": {"filename": "a\ufffdb.pdf"}},
        ),
        (
            other(
                type="interactive",
                interactive={
                    "nfm_reply": {"response_json": r'{"a\u0000": "b\u0000", "c": "\ud800"}'}
                },
            ),
            "[form: b\ufffd, \ufffd]",
            {"flow": {"answers": {"a\ufffd": "b\ufffd", "c": "\ufffd"}}},
        ),
        (
            other(type="interactive", interactive={"nfm_reply": {"response_json": "a\x00b"}}),
            "[form]",
            {"flow": {"raw": "a\ufffdb"}},
        ),
        (
            other(type="holo\x00gram", **{"holo\x00gram": {"\x00": "\ud800"}}),
            "[holo\ufffdgram]",
            {"raw": {"\ufffd": "\ufffd"}},
        ),
    ],
)
def test_what_cannot_be_stored_is_stored_as_a_question_mark(
    posted: Posted, message: Object, body: str, content: Object
) -> None:
    answered = posted.post(beside(message))

    found = answered.message(message["id"].replace("\x00", "\ufffd"))
    assert found
    assert (found.body, found.content, answered.intact) == (body, content, WORDS)


def test_a_name_that_cannot_be_stored_is_stored_as_a_question_mark(posted: Posted) -> None:
    card = {"profile": {"name": "An\x00a \udfff"}, "wa_id": "15550100144"}
    change = change_of(other(**{"from": "15550100144"}), hello(), contacts=[card])

    answered = posted.post(encoded(whatsapp(entry_of(change))))

    assert answered.intact == WORDS
    assert "An\ufffda \ufffd" in {
        message["contact"] for message in posted.webhook.read_stored().messages
    }


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"\xff\xfe{", b'{"entry":[}', b"[1,]"])
def test_what_is_no_json_is_ignored(posted: Posted, body: bytes) -> None:
    answer = posted.webhook.post(body)

    assert (answer.status_code, answer.json()) == (200, {"status": "ignored"})


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("hola", "the item of `messages` is not an object"),
        (None, "the item of `messages` is not an object"),
        (7, "the item of `messages` is not an object"),
        ({}, "`from` and `from_user_id` are missing"),
        (other(**{"from": ""}), "`from` and `from_user_id` are missing"),
        (other(**{"from": "1" * 100_000}), "an id is longer than 512 characters"),
        (other(id="x" * 100_000), "an id is longer than 512 characters"),
        (direct_other(text="hola") | {"sender": None}, "`sender.id` is missing"),
        (
            direct_other(text="hola") | {"sender": {"id": "1" * 100_000}},
            "an id is longer than 512 characters",
        ),
        (direct_other(mid="x" * 100_000), "an id is longer than 512 characters"),
        (direct_other() | {"message": "hola"}, "`message` is not an object"),
    ],
)
def test_what_cannot_be_read_is_kept_as_it_came(posted: Posted, message: Json, error: str) -> None:
    answered = posted.post(beside(message))

    (failed,) = answered.failed
    (entry,) = failed.payload["entry"]
    kept = entry["messaging"] if "messaging" in entry else entry["changes"][0]["value"]["messages"]
    came = json.loads(json.dumps(message).replace(SERIAL, answered.serial))
    assert (failed.error, kept, answered.intact) == (error, [came], WORDS)
