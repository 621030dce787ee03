"""Shots that a device sends by HTTP, with its own token and for its own lane."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import ClassVar, Final

import structlog
from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.access import CHALLENGE
from gateway.answers import json_response
from gateway.body import read
from gateway.problems import NOT_FOUND, NOT_PERMITTED, UNAUTHENTICATED, Problem
from gateway.queries import must_have_none
from gateway.routing import Documented, Visit
from gateway.tracking.push import PushedShots, PushResult

log = structlog.get_logger(__name__)


SIGNATURE: Final = "Firingline-Signature"


def must_be_signed(signature: str, public_key: str, device: str, raw: bytes) -> None:
    """Raises unless this is the device's signature of this body."""
    try:
        key = Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(public_key + "="))
        key.verify(urlsafe_b64decode(signature + "=="), f"{device}\n".encode() + raw)
    except (InvalidSignature, ValueError) as error:
        log.warning("shots.unsigned", device=device)
        raise Problem(UNAUTHENTICATED, "The body is not signed by this target's key.", headers=CHALLENGE) from error


@dataclass(frozen=True, slots=True)
class TakesShots:
    """Hands a device's shots to tracking. Another device's address looks absent."""

    deadline_s: ClassVar[float | None] = 15.0

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        must_have_none(visit.request)
        device = visit.path["device"]
        if device != visit.caller.device:
            raise Problem(NOT_FOUND)
        if len(visit.caller.lanes) != 1:
            raise Problem(NOT_PERMITTED, "The token is not bound to one lane.")
        [lane] = visit.caller.lanes
        visit.ports.must_append()
        raw = await read(visit.request)
        known = await visit.ports.devices.find(device)
        if known is None or known.lane != lane:  # revoked, or moved, since the token was given
            raise Problem(UNAUTHENTICATED, headers=CHALLENGE)
        if known.public_key is not None:
            must_be_signed(visit.request.headers.get(SIGNATURE, ""), known.public_key, device, raw)
        told = await visit.ports.push_shots(raw, device, lane)
        return json_response(told, status=202 if told.kept else 200)

    @property
    def documented(self) -> Documented:
        return Documented(
            summary="Report shots. One that is known already counts once, whichever way it came. A target that was "
            "registered with a public key signs: `Firingline-Signature` is the Ed25519 signature of its name, a line "
            "feed and the body, as base64url without padding.",
            body=PushedShots,
            answers={200: PushResult, 202: PushResult},
        )
