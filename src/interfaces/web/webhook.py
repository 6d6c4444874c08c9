"""The door Meta knocks on."""

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
from interfaces.web.errors import AnyRequest, describe_problem, problem
from interfaces.web.metrics import count

log = logging.getLogger(__name__)

LARGEST_BODY = 4 * 1024 * 1024
"""Bytes; WhatsApp's deliveries reach 3 MB."""

LARGE_BODY = 256 * 1024
DIGITS = re.compile(r"\d{1,9}", re.ASCII)
LARGE_AT_ONCE = 16
"""Large bodies that a worker holds at once while they come in: 64 MiB at most."""


@dataclass(frozen=True, slots=True)
class BodyReader:
    """Reads bodies in bounded memory, before anybody knows who sent them.

    The server bounds the time (`leadport.http_server`).
    """

    large_body_slots: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(LARGE_AT_ONCE)
    )

    async def read(self, request: AnyRequest) -> bytes:
        """Read it whole."""
        length = request.headers.get("content-length", "")
        if DIGITS.fullmatch(length) and int(length) <= LARGE_BODY:
            return await request.body()
        async with self.large_body_slots:
            return await request.body()


@dataclass(frozen=True, slots=True)
class WebhookDependencies:
    """What a delivery needs on its way in; one thing to ask for, because asking costs time."""

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
    """`/api/webhooks/meta`, for WhatsApp and Instagram alike."""

    path = "/api/webhooks/meta"
    tags = ("Meta",)

    @get(
        media_type=MediaType.TEXT,
        sync_to_thread=False,
        summary="Verification handshake",
        responses={
            200: ResponseSpec(str, description="The challenge", media_type=MediaType.TEXT),
            403: describe_problem("Not hub.mode=subscribe, not our token, or no challenge."),
        },
    )
    def handshake(
        self, request: AnyRequest, webhook_dependencies: Injected[WebhookDependencies]
    ) -> Response[Any]:
        """Answer with the challenge if the token is ours. It carries no signature."""
        query = request.query_params
        given = (
            str(query.get(f"hub.{name}", "")) for name in ("mode", "verify_token", "challenge")
        )
        mode, token, challenge = given
        if refusal := webhook_dependencies.webhook_verifier.check_handshake(mode, token, challenge):
            log.warning("handshake_refused", extra={"reason": refusal})
            return problem(403)
        headers = {"X-Content-Type-Options": "nosniff"}
        return Response(challenge, media_type=MediaType.TEXT, headers=headers)

    @post(
        status_code=200,
        request_max_body_size=LARGEST_BODY,
        summary="Delivery",
        responses={
            403: describe_problem("X-Hub-Signature-256 is missing or wrong."),
            408: describe_problem("The body came too slowly."),
            413: describe_problem("More than 4 MiB."),
            415: describe_problem("The body is compressed: Content-Encoding is not identity."),
            503: describe_problem("Neither database nor spool could keep it; send it again."),
        },
    )
    async def deliver(
        self, request: AnyRequest, webhook_dependencies: Injected[WebhookDependencies]
    ) -> Response[Any]:
        """Keep every message of the delivery and apply every change, then say what became of them.

        The shape of a signed body never makes an error: Meta would repeat it for days.
        """
        body = await webhook_dependencies.body_reader.read(request)
        if has_content_encoding(request):
            log.warning("delivery_refused", extra={"reason": "the body has a Content-Encoding"})
            return problem(415, "send the body without Content-Encoding")
        if not webhook_dependencies.webhook_verifier.accepts_signature(
            body, request.headers.get("X-Hub-Signature-256", "")
        ):
            log.warning("delivery_refused", extra={"reason": "X-Hub-Signature-256 does not match"})
            return problem(403)
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
            return problem(503, "neither the database nor the spool can keep this; send it again")
        count(counters, delivery.changes, delivery.ignored_items)
        for note, times in delivery.ignored_items.items():
            if note.reason == "unknown":
                what = f"{note.channel} {note.part} {note.name}"
                log.warning("unknown_in_delivery", extra={"what": what, "times": times})
        is_news = counters.failed or counters.skipped
        level = logging.INFO if is_news else logging.DEBUG
        if log.isEnabledFor(level):
            changes = len(delivery.changes)
            log.log(level, "delivery", extra={**asdict(counters), "changes": changes})
        return Response(counters)
