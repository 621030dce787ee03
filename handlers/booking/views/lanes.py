"""Ranges, their lanes as they are now, and the targets that stand on them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import TypeAdapter

from bus.connection import Connection
from handlers.booking.events import OpeningHours, Policy
from handlers.booking.views.view import View

OPENING_HOURS = TypeAdapter(tuple[OpeningHours, ...])


class RangeView(View):
    """A range, when it is open, and how it is run."""

    range: str
    title: str
    time_zone: str
    opening_hours: tuple[OpeningHours, ...]
    slot_minutes: int
    hold_seconds: int
    early_check_in_minutes: int
    no_show_minutes: int
    policy: Policy


class LaneView(View):
    """A lane, and who has it at this moment: nobody, a hold, a booking, a shooter who waits or one who shoots.

    `until` is when the booking that has it ends; of a free lane, when the next one begins.
    """

    lane: str
    range: str
    distance_m: int
    discipline: str
    weapon_classes: tuple[str, ...]
    state: Literal["free", "held", "booked", "checked-in", "in-use"]
    until: datetime | None
    cease_fire_since: datetime | None
    capacity: int
    calibres: tuple[str, ...]
    most_energy_j: int | None


class TargetView(View):
    """An electronic target, and where it listens."""

    lane: str
    range: str
    distance_m: int
    discipline: str
    target_address: str


class ClosureView(View):
    """A time for which a lane is closed."""

    closure: UUID
    lane: str
    starts_at: datetime
    ends_at: datetime
    reason: str


class CeaseFireView(View):
    """A cease fire on a range; without an end, it holds."""

    cease_fire: UUID
    range: str
    reason: str
    ordered_by: str
    ordered_at: datetime
    resumed_by: str | None
    resumed_at: datetime | None


async def ranges(connection: Connection) -> list[RangeView]:
    rows = await connection.fetch(
        """
        SELECT range, title, time_zone, opening_hours, slot_minutes, hold_seconds, early_check_in_minutes,
               no_show_minutes, policy
        FROM booking.ranges
        ORDER BY range
        """
    )
    return [
        RangeView(
            **{
                **row,
                "opening_hours": OPENING_HOURS.validate_json(row["opening_hours"]),
                "policy": Policy.model_validate_json(row["policy"]),
            }
        )
        for row in rows
    ]


async def lanes(connection: Connection) -> list[LaneView]:
    rows = await connection.fetch(
        """
        SELECT lane, range, distance_m, discipline, weapon_classes, state, until, cease_fire_since,
               capacity, calibres, most_energy_j
        FROM booking.lanes
        ORDER BY range, lane
        """
    )
    return [LaneView(**row) for row in rows]


async def closures(connection: Connection, lane: str, *, most: int) -> list[ClosureView]:
    """When a lane is closed from now on, in order."""
    rows = await connection.fetch(
        """
        SELECT closure, lane, lower(during) AS starts_at, upper(during) AS ends_at, reason
        FROM booking.closures
        WHERE lane = $1 AND upper(during) > now()
        ORDER BY during
        LIMIT $2
        """,
        lane,
        most,
    )
    return [ClosureView(**row) for row in rows]


async def cease_fires(connection: Connection, range_: str, *, most: int) -> list[CeaseFireView]:
    """A range's cease fires, the latest first."""
    rows = await connection.fetch(
        """
        SELECT cease_fire, range, reason, ordered_by, ordered_at, resumed_by, resumed_at
        FROM booking.cease_fires
        WHERE range = $1
        ORDER BY ordered_at DESC
        LIMIT $2
        """,
        range_,
        most,
    )
    return [CeaseFireView(**row) for row in rows]


async def targets(connection: Connection) -> list[TargetView]:
    """All electronic targets; for what connects to them, not for visitors."""
    rows = await connection.fetch(
        """
        SELECT lane, range, distance_m, discipline, target_address
        FROM booking.targets
        ORDER BY lane
        """
    )
    return [TargetView(**row) for row in rows]
