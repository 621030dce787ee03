"""The way into the log for what devices report: each (device, epoch, number) counts once, whichever way it comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from bus.connection import Connection
from bus.identity import uuid7


class Shot(Protocol):
    """A message that a device's shot is told by."""

    name: ClassVar[str]
    version: ClassVar[int]

    @property
    def device(self) -> str: ...
    @property
    def epoch(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def stream(self) -> str: ...
    def model_dump_json(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Told:
    """What became of the shots of one device and epoch."""

    device: str
    epoch: str
    recorded: int
    repeated: int
    missing: list[tuple[int, int]]  # numbers below the highest that never came, as [from, to)


async def record_shots(
    connection: Connection, producer: int, shots: Sequence[Shot], actors: Sequence[str]
) -> list[Told]:
    """Appends shots, each with its actor, in the caller's transaction; repeated ones are counted and dropped."""
    if not shots:
        return []
    rows = await connection.fetch(
        """
        SELECT device, epoch, recorded, repeated, missing FROM bus.record_shots(
            $1, $2, $3::smallint, $4::text[], $5::text[], $6::bigint[], $7::uuid[], $8::text[], $9::text[],
            $10::jsonb[])
        """,
        producer,
        shots[0].name,
        shots[0].version,
        [one.device for one in shots],
        [one.epoch for one in shots],
        [one.number for one in shots],
        [uuid7() for _ in shots],
        [one.stream for one in shots],
        actors,
        [one.model_dump_json() for one in shots],
    )
    return [
        Told(
            device=row["device"],
            epoch=row["epoch"],
            recorded=row["recorded"],
            repeated=row["repeated"],
            missing=[(gap.lower, gap.upper) for gap in row["missing"]],
        )
        for row in rows
    ]
