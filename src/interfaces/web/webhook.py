"""The webhook endpoint: GET answers Meta's handshake, POST accepts deliveries."""

import asyncio
import logging
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from litestar import Controller, MediaType, Response, get, post
from litestar.openapi.datastructures import ResponseSpec

from application.errors import SpoolUnavailable
from application.ingestion.receive_delivery import ReceiveDelivery
from application.ports.clock import Clock
from interfaces.meta.delivery import MetaDeliveryParser
from interfaces.meta.json_values import NotJson
from interfaces.meta.signature import WebhookVerifier
from interfaces.web.dependencies import Injected
from interfaces.web.errors import AnyRequest, describe_problem, make_problem
from interfaces.web.metrics import count_delivery

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 4 * 1024 * 1024
"""The limit on the body of a delivery. WhatsApp sends deliveries of up to 3 MB."""

MAX_SMALL_BODY_BYTES = 256 * 1024
"""The largest body that needs no slot of `BodyReader`. A larger one waits until a slot is free."""

CONTENT_LENGTH_PATTERN = re.compile(r"\d{1,9}", re.ASCII)

MAX_LARGE_BODIES = 16
"""The number of large bodies that a worker receives at the same time: at most 64 MiB (D57)."""


@dataclass(frozen=True, slots=True)
class BodyReader:
    """Reads the bodies of requests in bounded memory.

    The bound is needed because the signature can be checked only when the whole body has arrived:
    any sender can make a worker hold a body. `leadport.http_server` limits the time in which a
    body must arrive.
    """

    large_body_slots: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(MAX_LARGE_BODIES)
    )

    async def read(self, request: AnyRequest) -> bytes:
        """Return the whole body.

        The method waits for a slot where the body is larger than `MAX_SMALL_BODY_BYTES` or its
        length is unknown.
        """
        length = request.headers.get("content-length", "")
        if CONTENT_LENGTH_PATTERN.fullmatch(length) and int(length) <= MAX_SMALL_BODY_BYTES:
            return await request.body()
        async with self.large_body_slots:
            return await request.body()


@dataclass(frozen=True, slots=True)
class WebhookDependencies:
    """The dependencies of the webhook in one object, because Litestar takes time to inject each."""

    webhook_verifier: WebhookVerifier
    receive_delivery: ReceiveDelivery
    parser: MetaDeliveryParser
    clock: Clock
    body_reader: BodyReader = field(default_factory=BodyReader)


def has_content_encoding(request: AnyRequest) -> bool:
    """Return whether the body is compressed or encoded in another way.

    Meta does not compress. A proxy that does changes the bytes that Meta signed, so the body is
    refused before the check of the signature, whose failure would not name the cause.
    """
    headers = ",".join(request.headers.getall("content-encoding", []))
    encodings = {encoding.strip().lower() for encoding in headers.split(",")}
    return not encodings <= {"", "identity"}


class WebhookController(Controller):
    """`/api/webhooks/meta`, for deliveries of WhatsApp and Instagram."""

    path = "/api/webhooks/meta"
    tags = ("Meta",)

    @get(
        media_type=MediaType.TEXT,
        sync_to_thread=False,
        operation_id="ApiWebhooksMetaHandshake",
        summary="Verification handshake",
        responses={
            200: ResponseSpec(
                str,
                generate_examples=False,
                description="The value of hub.challenge.",
                media_type=MediaType.TEXT,
            ),
            403: describe_problem(
                "hub.mode is not subscribe, hub.verify_token is wrong, or hub.challenge is missing."
            ),
        },
    )
    def answer_handshake(
        self, request: AnyRequest, webhook_dependencies: Injected[WebhookDependencies]
    ) -> Response[Any]:
        """Answer with hub.challenge if hub.verify_token is right. A handshake has no signature."""
        mode, token, challenge = (
            str(request.query_params.get(f"hub.{name}", ""))
            for name in ("mode", "verify_token", "challenge")
        )
        if refusal := webhook_dependencies.webhook_verifier.check_handshake(mode, token, challenge):
            log.warning("handshake_refused", extra={"reason": refusal})
            return make_problem(403)
        headers = {"X-Content-Type-Options": "nosniff"}
        return Response(challenge, media_type=MediaType.TEXT, headers=headers)

    @post(
        status_code=200,
        request_max_body_size=MAX_BODY_BYTES,
        operation_id="ApiWebhooksMetaDeliver",
        summary="Delivery",
        responses={
            403: describe_problem("X-Hub-Signature-256 is missing or wrong."),
            408: describe_problem("The body did not arrive within 10 s."),
            413: describe_problem("The body is larger than 4 MiB."),
            415: describe_problem("The body is compressed: Content-Encoding is not identity."),
            503: describe_problem(
                "Neither the database nor the spool could keep the delivery; send it again."
            ),
        },
    )
    async def receive(
        self, request: AnyRequest, webhook_dependencies: Injected[WebhookDependencies]
    ) -> Response[Any]:
        """Store the messages of a delivery, apply its changes, and answer with the counters.

        A signed body of unknown shape is no error: Meta would repeat the delivery for days (D56).
        """
        body = await webhook_dependencies.body_reader.read(request)
        if has_content_encoding(request):
            log.warning("delivery_refused", extra={"reason": "the body has a Content-Encoding"})
            return make_problem(415, "send the body without Content-Encoding")
        if not webhook_dependencies.webhook_verifier.accepts_signature(
            body, request.headers.get("X-Hub-Signature-256", "")
        ):
            log.warning("delivery_refused", extra={"reason": "X-Hub-Signature-256 does not match"})
            return make_problem(403)
        arrived_at = webhook_dependencies.clock.now()
        try:
            delivery = webhook_dependencies.parser.parse(body, arrived_at)
        except NotJson:
            log.warning("delivery_ignored", extra={"reason": "not JSON", "bytes": len(body)})
            return Response({"status": "ignored"})
        try:
            counters = await webhook_dependencies.receive_delivery(delivery, body, arrived_at)
        except SpoolUnavailable as error:
            log.critical("delivery_refused", extra={"reason": str(error)})
            return make_problem(
                503, "neither the database nor the spool can keep this; send it again"
            )
        count_delivery(counters, delivery.changes, delivery.ignored_items)
        for item, times in delivery.ignored_items.items():
            if item.verdict == "unknown":
                name = f"{item.channel} {item.part} {item.name}"
                log.warning("unknown_in_delivery", extra={"what": name, "times": times})
        # At INFO, a line took almost as long as reading the delivery (D70).
        has_unstored_messages = bool(counters.failed or counters.skipped)
        level = logging.INFO if has_unstored_messages else logging.DEBUG
        if log.isEnabledFor(level):
            changes = len(delivery.changes)
            log.log(level, "delivery", extra={**asdict(counters), "changes": changes})
        return Response(counters)
