"""Verifies that a request comes from Meta: the token of the handshake, the HMAC of a delivery."""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

CHALLENGE_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,256}", re.ASCII)


@dataclass(frozen=True, slots=True)
class WebhookVerifier:
    """Compares the handshake's token and each delivery's signature in constant time.

    `app_secrets` may hold several secrets: the old and the new one during a rotation, or the
    secret of an Instagram-login app beside that of the Facebook app (D58). Without any secret every
    delivery is accepted; the settings allow that in development only.
    """

    verify_token: str = field(repr=False)
    app_secrets: Sequence[str] = field(default=(), repr=False)

    def check_handshake(self, mode: str, token: str, challenge: str) -> str | None:
        """Return the name of the check that fails, or None if all pass.

        The arguments are `hub.mode`, `hub.verify_token` and `hub.challenge`; an absent one is "".
        Meta's challenge is a number. The check on its shape refuses everything that a browser
        could render as HTML, because the endpoint sends the challenge back.

        Source: developers.facebook.com/docs/graph-api/webhooks/getting-started#verification-requests, read 2026-11.
        """
        # The token is compared before the mode is judged, so that every refusal takes as long.
        is_token_right = hmac.compare_digest(token.encode(), self.verify_token.encode())
        if mode != "subscribe":
            return "hub.mode is not subscribe"
        if not is_token_right:
            return "hub.verify_token does not match"
        if not CHALLENGE_PATTERN.fullmatch(challenge):
            return "hub.challenge is missing or not 1 to 256 letters, digits, _ and -"
        return None

    def accepts_signature(self, body: bytes, signature: str) -> bool:
        """Return whether one of the app secrets makes `signature` of the raw `body`.

        `signature` is the header X-Hub-Signature-256; an absent one is "".

        Source: developers.facebook.com/docs/graph-api/webhooks/getting-started#event-notifications, read 2026-11.
        """
        if not self.app_secrets:
            return True
        received = signature.encode()
        # A list, not a generator: every secret is tried, so the time reveals no match.
        matches = [
            hmac.compare_digest(received, sign(body, app_secret).encode())
            for app_secret in self.app_secrets
        ]
        return any(matches)


def sign(body: bytes, app_secret: str) -> str:
    """Return the header X-Hub-Signature-256 of a body: `sha256=` and 64 hexadecimal digits."""
    return "sha256=" + hmac.digest(app_secret.encode(), body, "sha256").hex()
