"""What devices post: a real freETarget's own JSON, or shots in our form."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from bus.fields import Code, Micrometres, Text
from gateway import body
from gateway.problems import MALFORMED_BODY, Problem, invalid
from gateway.tracking.frames import Scanner, Wrong, read_fields
from gateway.tracking.shots import Sighted, understand

MOST_SHOTS: Final = 500


class PushedShot(body.Body):
    """A shot: known by its device, epoch (the device's boot, session or journal) and number."""

    epoch: Text
    number: int = Field(ge=1, le=10**9)
    kind: Literal["sighter", "match"] = "match"
    miss: bool = False
    x_um: Micrometres = Field(default=0, description="micrometres to the right of the target's centre; 0 for a miss")
    y_um: Micrometres = Field(default=0, description="micrometres above it")
    elapsed_ms: Annotated[int, Field(ge=0, le=10**12)] | None = Field(
        default=None, description="the device's clock, since the epoch began"
    )
    face: Code | None = None


class LinesResult(BaseModel):
    """What became of the lines that were posted; those that cannot be read are named, and cost no other."""

    model_config = ConfigDict(frozen=True)

    recorded: int
    repeated: int
    kept: int = Field(default=0, description="safely on the gateway's disk, and recorded later: the log is away")
    wrong: tuple[int, ...] = Field(description="the lines that are no shot, the first is 1")


class PushedShots(body.Body):
    """Shots in the order they were fired."""

    shots: tuple[PushedShot, ...] = Field(min_length=1, max_length=MOST_SHOTS)


class PushResult(BaseModel):
    """What became of the shots that were posted. One that is known already is counted and changes nothing."""

    model_config = ConfigDict(frozen=True)

    recorded: int
    repeated: int
    kept: int = Field(default=0, description="safely on the gateway's disk, and recorded later: the log is away")
    ignored: int = Field(description="frames that tell of no shot")


@dataclass(frozen=True, slots=True)
class Pushed:
    """A body, understood: how many frames told of no shot, and the others: their bytes, what is wrong, their shots."""

    ignored: int
    parts: list[tuple[bytes, Wrong | None, list[Sighted]]]

    @property
    def shots(self) -> list[Sighted]:
        return [shot for _, _, shots in self.parts for shot in shots]

    @property
    def wrong(self) -> Wrong | None:
        return next((wrong for _, wrong, _ in self.parts if wrong), None)


def read(raw: bytes) -> Pushed:
    """The shots in a body. What is wrong with a freETarget's frame is noted, so that its bytes can be kept first.

    Raises Problem for a body in our form with anything wrong in it: all of it counts or none.
    """
    fields = read_fields(raw.strip()) if raw.strip().startswith(b"{") else None
    if fields is not None and "shots" in fields:
        known_by = sha256(raw).hexdigest()
        shots = [_sighted(shot, known_by) for shot in body.parse(PushedShots, raw).shots]
        return Pushed(0, [(raw, None, shots)])
    return _frames(raw)


def refused(wrong: Wrong) -> Problem:
    """The answer to a freETarget's frame that cannot be understood."""
    return invalid({"pointer": "#", "detail": wrong.reason})


def _frames(raw: bytes) -> Pushed:
    found = Scanner().feed(raw)
    if not found:
        raise Problem(MALFORMED_BODY, "There is no frame in it.")
    told = [understand(one) for one in found]
    return Pushed(
        ignored=sum(one is None for one in told),
        parts=[
            (one.raw, None, [meaning]) if isinstance(meaning, Sighted) else (one.raw, meaning, [])
            for one, meaning in zip(found, told, strict=True)
            if meaning is not None
        ],
    )


def read_line(raw: bytes) -> Sighted | Wrong:
    """The shot in a line of our own form."""
    try:
        return _sighted(body.parse(PushedShot, raw), sha256(raw).hexdigest())
    except Problem as problem:
        return Wrong(raw, problem.detail or problem.kind.title)


def _sighted(shot: PushedShot, raw_sha256: str) -> Sighted:
    return Sighted(
        number=shot.number,
        kind=shot.kind,
        miss=shot.miss,
        x_um=0 if shot.miss else shot.x_um,
        y_um=0 if shot.miss else shot.y_um,
        elapsed_ms=shot.elapsed_ms,
        face=shot.face,
        raw_sha256=raw_sha256,
        epoch=shot.epoch,
    )
