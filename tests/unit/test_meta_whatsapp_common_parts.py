"""Parts that a WhatsApp message of any type may have: reply, referral, errors."""

import pytest

from interfaces.meta.parsed import MessageContent
from interfaces.meta.whatsapp.content import parse_content
from tests.support.payloads import (
    Object,
)
from tests.support.whatsapp_payloads import (
    AD,
    MEDIA,
    ODD_PARTS,
    QUOTED_MESSAGE,
    message_of_type,
    text_message,
)

COMMON_PARTS: dict[str, tuple[Object, Object]] = {
    "reply": (
        {"context": QUOTED_MESSAGE},
        {"reply": {"message_id": "wamid.question", "from": "5491100000001"}},
    ),
    "reply to a hidden number": (
        {"context": {"id": "wamid.1", "from_user_id": "AR.1", "from_parent_user_id": "AR.ENT.1"}},
        {"reply": {"message_id": "wamid.1", "from": "AR.1"}},
    ),
    "forwarded": ({"context": {"forwarded": True}}, {"forwarded": True}),
    "forwarded often": (
        {"context": {"frequently_forwarded": "true", "forwarded": False}},
        {"frequently_forwarded": True},
    ),
    "not forwarded": ({"context": {"forwarded": False, "frequently_forwarded": None}}, {}),
    "product enquiry": (
        {
            "context": QUOTED_MESSAGE
            | {"referred_product": {"catalog_id": "19", "product_retailer_id": "zap-1"}}
        },
        {"referred_product": {"catalog_id": "19", "product_retailer_id": "zap-1"}},
    ),
    "ad": (
        {"referral": AD},
        {
            "referral": {
                "source_type": "ad",
                "source_id": "1202000000000001",
                "click_id": "Afc-1",
                "url": "https://fb.example/ad",
                "headline": "Rebajas de verano",
                "body": "Todo a mitad de precio",
                "media_type": "video",
                "media_url": "https://cdn.example/v",
            }
        },
    ),
    "post with an image": (
        {"referral": {"source_id": 12, "image_url": "i", "thumbnail_url": "t"}},
        {"referral": {"source_id": "12", "media_url": "i"}},
    ),
    "ad with a thumbnail": (
        {"referral": {"image_url": None, "thumbnail_url": "t"}},
        {"referral": {"media_url": "t"}},
    ),
    "errors": (
        {
            "errors": [
                {
                    "code": 131052,
                    "title": "Media download error",
                    "message": "Failed",
                    "error_data": {"details": "Expired"},
                    "href": "https://x.example",
                },
                {"code": "131051", "details": "Not supported"},
                {"tomorrow": 1},
                None,
            ]
        },
        {
            "errors": [
                {
                    "code": 131052,
                    "title": "Media download error",
                    "message": "Failed",
                    "details": "Expired",
                },
                {"code": "131051", "details": "Not supported"},
            ]
        },
    ),
    "single error": ({"errors": {"code": 1}}, {"errors": [{"code": 1}]}),
    "unsupported": (
        {"unsupported": {"type": "gif"}},
        {"unsupported": {"type": "gif"}},
    ),
    "group, hash and unknown part": ({"group_id": None, "identity": {"hash": "x"}, "new": 1}, {}),
    "long strings": (
        {"referral": {"body": "a" * 9000, "ctwa_clid": "b" * 9000, "image_url": "c" * 9000}},
        {"referral": {"body": "a" * 4096, "click_id": "b" * 4096, "media_url": "c" * 4096}},
    ),
    **{
        f"all is {value!r}": (
            dict.fromkeys(("context", "referral", "errors", "unsupported"), value),
            {},
        )
        for value in ODD_PARTS
    },
}


@pytest.mark.parametrize(("common_parts", "content"), COMMON_PARTS.values(), ids=COMMON_PARTS)
@pytest.mark.parametrize(
    ("message", "part_content"),
    [
        (text_message(), MessageContent("text", "hola")),
        (
            message_of_type("image", MEDIA | {"caption": "este"}),
            MessageContent("image", "este", {"media": MEDIA}),
        ),
        (message_of_type("hologram", {"a": 1}), MessageContent("hologram", "", {"raw": {"a": 1}})),
    ],
    ids=["text", "image", "hologram"],
)
def test_common_parts_are_read_beside_any_type(
    message: Object, part_content: MessageContent, common_parts: Object, content: Object
) -> None:
    assert parse_content(message | common_parts) == MessageContent(
        part_content.kind, part_content.text, {**part_content.content, **content}
    )
