"""Whether it is Meta who knocks."""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{1,256}", re.ASCII)


@dataclass(frozen=True, slots=True)
class VerifyWebhook:
    """Checks the handshake's token and each delivery's signature, both in constant time.

    `app_secrets` may hold several: an old and a new one while the secret is being changed, or
    that of an Instagram-login app beside the Facebook app's. None at all lets every delivery in,
    which only development may do.
    """

    verify_token: str = field(repr=False)
    app_secrets: Sequence[str] = field(default=(), repr=False)

    def handshake_refusal(self, mode: str, token: str, challenge: str) -> str | None:
        """Name the check that fails; None where the challenge is to be answered.

        Meta's challenge is a number; the check on its shape keeps anything that a browser could
        take for markup from being reflected.
        """
        is_token = hmac.compare_digest(token.encode(), self.verify_token.encode())
        if mode != "subscribe":
            return "hub.mode is not subscribe"
        if not is_token:
            return "hub.verify_token is not META_WEBHOOK_VERIFY_TOKEN"
        if not CHALLENGE.fullmatch(challenge):
            return "hub.challenge is missing or not 1 to 256 letters, digits, _ and -"
        return None

    def accepts_delivery(self, body: bytes, signature: str) -> bool:
        """Whether `signature`, the X-Hub-Signature-256 header, is that of the raw body."""
        if not self.app_secrets:
            return True
        given = signature.encode()
        # A list, not a generator: every secret is tried, so the time tells nothing.
        matches = [
            hmac.compare_digest(given, sign(body, secret).encode()) for secret in self.app_secrets
        ]
        return any(matches)


def sign(body: bytes, app_secret: str) -> str:
    """The X-Hub-Signature-256 header of a body: `sha256=` and 64 hex digits."""
    return "sha256=" + hmac.digest(app_secret.encode(), body, "sha256").hex()
