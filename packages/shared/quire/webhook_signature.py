"""Signatures of webhooks, as the Standard Webhooks specification 1.0 has them (symmetric, `v1`)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

_BEGINNING: Final = "whsec_"
_SECRET_BYTES: Final = 32


def new_secret() -> str:
    """A secret for an endpoint."""
    return _BEGINNING + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signed_headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that let who has the secret verify that a message is Quire's, and not an old one."""
    key = base64.b64decode(secret.removeprefix(_BEGINNING))
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
