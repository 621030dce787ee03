"""Whether a type of weapon, a lane, the cartridges in stock and a shooter's licences go together, and if not, why."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from bus.connection import Connection
from handlers.armory.views.view import View

UNKNOWN_LANE: Final = "There is no such lane."
NOT_SHOT_THERE: Final = "Weapons of this class are not shot on this lane."
NONE_FIT: Final = "No weapon of this type is fit for use at present."
NO_CARTRIDGES: Final = "No cartridges of this calibre can be issued; what there is was recalled or has expired."
NOT_ENTITLED: Final = "No confirmed licence of the shooter allows this class at this time."


class Check(View):
    """One of the conditions, and why it is not met."""

    of: Literal["lane", "weapon", "ammunition", "licence"]
    met: bool
    why: str | None


class Compatibility(View):
    """Whether somebody can shoot a type of weapon on a lane at a moment, as the armory knows it."""

    weapon_type: str
    weapon_class: str
    calibre: str
    lane: str
    person: UUID
    at: datetime
    met: bool
    checks: tuple[Check, ...]


async def compatibility(
    connection: Connection, weapon_type: str, lane: str, person: UUID, at: datetime
) -> Compatibility | None:
    """All conditions, met or not; none if there is no such type."""
    row = await connection.fetchrow(
        """
        SELECT t.weapon_type, t.weapon_class, t.calibre, t.units, t.rounds_in_stock,
               (SELECT t.weapon_class = ANY (l.weapon_classes) FROM armory.lanes AS l WHERE l.lane = $2) AS shot_there,
               EXISTS (
                   SELECT FROM armory.entitlements AS e
                   WHERE e.person = $3 AND e.weapon_class = t.weapon_class AND e.during @> $4::timestamptz) AS entitled
        FROM armory.weapon_types AS t
        WHERE t.weapon_type = $1
        """,
        weapon_type,
        lane,
        person,
        at,
    )
    if row is None:
        return None
    checks = (
        _check("lane", UNKNOWN_LANE if row["shot_there"] is None else NOT_SHOT_THERE, met=bool(row["shot_there"])),
        _check("weapon", NONE_FIT, met=row["units"] > 0),
        _check("ammunition", NO_CARTRIDGES, met=row["rounds_in_stock"] > 0),
        _check("licence", NOT_ENTITLED, met=row["entitled"]),
    )
    return Compatibility(
        weapon_type=row["weapon_type"],
        weapon_class=row["weapon_class"],
        calibre=row["calibre"],
        lane=lane,
        person=person,
        at=at,
        met=all(check.met for check in checks),
        checks=checks,
    )


def _check(of: Literal["lane", "weapon", "ammunition", "licence"], why: str, *, met: bool) -> Check:
    return Check(of=of, met=met, why=None if met else why)
