"""Shots that a device sends by HTTP, with its own token and for its own lane."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

import structlog
from aiohttp import WSMsgType, web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field

from bus.clock import now
from gateway.access import CHALLENGE
from gateway.answers import json_response
from gateway.body import LARGEST_BYTES, read, read_file
from gateway.live import STREAMS
from gateway.ports import ENDING
from gateway.problems import MALFORMED_REQUEST, NOT_FOUND, NOT_PERMITTED, UNAUTHENTICATED, Problem
from gateway.queries import must_have_none
from gateway.routing import Documented, Visit
from gateway.tracking.alarms import Kind
from gateway.tracking.imports import Form, ImportResult
from gateway.tracking.push import LinesResult, PushedShot, PushedShots, PushResult
from gateway.tracking.tracking import TargetStatus

log = structlog.get_logger(__name__)


SIGNATURE: Final = "Firingline-Signature"
HEARTBEAT_S: Final = 20.0
MOST_GAPS: Final = 100


def must_be_signed(signature: str, public_key: str, device: str, raw: bytes) -> None:
    """Raises unless this is the device's signature of this body."""
    try:
        key = Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(public_key + "="))
        key.verify(urlsafe_b64decode(signature + "=="), f"{device}\n".encode() + raw)
    except (InvalidSignature, ValueError) as error:
        log.warning("shots.unsigned", device=device)
        raise Problem(UNAUTHENTICATED, "The body is not signed by this target's key.", headers=CHALLENGE) from error


def _sender(visit: Visit) -> tuple[str, str]:
    """The device that speaks, and the lane it speaks for."""
    must_have_none(visit.request)
    device: str = visit.path["device"]
    if device != visit.caller.device:
        raise Problem(NOT_FOUND)
    if len(visit.caller.lanes) != 1:
        raise Problem(NOT_PERMITTED, "The token is not bound to one lane.")
    [lane] = visit.caller.lanes
    visit.ports.must_append()
    return device, lane


async def _must_be_its_own(visit: Visit, device: str, lane: str, raw: bytes) -> None:
    """Raises unless the device may still report for the lane, and what it sent is signed where it must be."""
    known = await visit.ports.devices.find(device)
    if known is None or known.lane != lane:  # revoked, or moved, since the token was given
        raise Problem(UNAUTHENTICATED, headers=CHALLENGE)
    if known.public_key is not None:
        must_be_signed(visit.request.headers.get(SIGNATURE, ""), known.public_key, device, raw)


@dataclass(frozen=True, slots=True)
class TakesShots:
    """Hands a device's shots to tracking. Another device's address looks absent."""

    deadline_s: ClassVar[float | None] = 15.0

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        device, lane = _sender(visit)
        raw = await read(visit.request)
        await _must_be_its_own(visit, device, lane, raw)
        told = await visit.ports.targets.push(raw, device, lane)
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


@dataclass(frozen=True, slots=True)
class TakesLines:
    """Takes shots one a line. A line that cannot be read costs no other."""

    deadline_s: ClassVar[float | None] = 15.0

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        device, lane = _sender(visit)
        raw = await read(visit.request, ("application/x-ndjson",))
        await _must_be_its_own(visit, device, lane, raw)
        told = await visit.ports.targets.lines(raw, device, lane)
        return json_response(told, status=202 if told.kept else 200)

    @property
    def documented(self) -> Documented:
        return Documented(
            summary="Report shots as NDJSON, one a line. A line that cannot be read costs no other, and is named.",
            body=PushedShot,
            answers={200: LinesResult, 202: LinesResult},
        )


@dataclass(frozen=True, slots=True)
class StreamsShots:
    """A WebSocket: each message is a post, and is answered as one, once it is on the disk or in the log."""

    deadline_s: ClassVar[float | None] = None

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        device, lane = _sender(visit)
        known = await visit.ports.devices.find(device)
        if known is not None and known.public_key is not None:
            raise Problem(NOT_PERMITTED, "A target that signs what it posts cannot sign here.")
        await _must_be_its_own(visit, device, lane, b"")
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=LARGEST_BYTES)
        if not socket.can_prepare(visit.request):
            raise Problem(MALFORMED_REQUEST, "This address speaks WebSocket.")
        with visit.request.app[STREAMS].place(visit.caller.actor):
            await socket.prepare(visit.request)
            ending = asyncio.create_task(_close_when(visit.request.app[ENDING], socket))
            try:
                async for message in socket:
                    if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                        break
                    raw = message.data.encode() if isinstance(message.data, str) else message.data
                    await socket.send_str(await self._answer(visit, device, lane, raw))
            finally:
                ending.cancel()
        return socket

    async def _answer(self, visit: Visit, device: str, lane: str, raw: bytes) -> str:
        expires_at = visit.caller.expires_at
        try:
            if expires_at is not None and expires_at <= now():
                raise Problem(UNAUTHENTICATED, headers=CHALLENGE)  # noqa: TRY301 - told like every other
            await _must_be_its_own(visit, device, lane, raw)
            return (await visit.ports.targets.push(raw, device, lane)).model_dump_json()
        except Problem as problem:
            return json.dumps({"problem": problem.kind.name, "detail": problem.detail or problem.kind.title})

    @property
    def documented(self) -> Documented:
        return Documented(
            summary="Report shots over a WebSocket: each message is what could be posted, and is answered alike.",
            answers={200: PushResult},
        )


async def _close_when(ending: asyncio.Event, socket: web.WebSocketResponse) -> None:
    await ending.wait()
    await socket.close()


@dataclass(frozen=True, slots=True)
class TakesFile:
    """Takes an export of another program's for a lane."""

    form: Form
    deadline_s: ClassVar[float | None] = 30.0

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        must_have_none(visit.request)
        visit.ports.must_append()
        raw = await read_file(visit.request)
        told = await visit.ports.targets.take_file(raw, self.form, visit.path["lane"], visit.caller.actor)
        return json_response(told, status=202 if told.kept else 200)

    @property
    def documented(self) -> Documented:
        return Documented(
            summary=f"Import a file of {self.form}: its bytes are the body. Imported again, nothing counts twice.",
            answers={200: ImportResult, 202: ImportResult},
        )


class Gap(BaseModel):
    """Numbers of shots that never came."""

    model_config = ConfigDict(frozen=True)

    first: int
    last: int


class TargetAlarm(BaseModel):
    """Something that a person should look at."""

    model_config = ConfigDict(frozen=True)

    kind: Kind
    at: datetime | None
    number: int | None = Field(description="the shot's")


class Target(BaseModel):
    """How it stands with a target, as the gateway that was asked knows it since it started."""

    model_config = ConfigDict(frozen=True)

    lane: str
    device: str
    connected: bool = Field(description="by this gateway; another one may have it")
    connections: int
    shots: int
    wrong_frames: int
    heard_at: datetime | None = Field(description="when it last told of a shot, or of something that cannot be read")
    clock_ahead_s: float | None = Field(description="how far the device's clock is ahead, where it has one")
    missing: tuple[Gap, ...]
    alarms: tuple[TargetAlarm, ...]


class TargetList(BaseModel):
    """All targets that are followed."""

    model_config = ConfigDict(frozen=True)

    items: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class ShowsTargets:
    """Shows how it stands with each target."""

    deadline_s: ClassVar[float | None] = 5.0

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        must_have_none(visit.request)
        return json_response(TargetList(items=tuple(_target(one) for one in visit.ports.targets.status())))

    @property
    def documented(self) -> Documented:
        return Documented(
            summary="Show how it stands with each target: its connection, its heartbeat, its clock, what is missing.",
            answers={200: TargetList},
        )


def _target(status: TargetStatus) -> Target:
    counts = status.counts
    return Target(
        lane=status.lane,
        device=status.device,
        connected=status.connected,
        connections=counts.connections,
        shots=counts.shots,
        wrong_frames=counts.wrong,
        heard_at=counts.heard_at,
        clock_ahead_s=counts.skew_s,
        missing=tuple(Gap(first=begin, last=end - 1) for begin, end in status.missing[:MOST_GAPS]),
        alarms=tuple(TargetAlarm(kind=one.kind, at=one.at, number=one.number) for one in status.alarms),
    )
