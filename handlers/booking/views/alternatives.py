"""What else is free about the time that somebody could not have."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from bus.connection import Connection
from handlers.booking.views.offers import Written
from handlers.booking.views.slots import Row, setting_of, shown_slots
from handlers.booking.views.view import View

MOST: Final = 5


class Alternative(View):
    """A lane and a time of the same length, free for this shooter and this weapon."""

    lane: str
    starts_at: datetime
    ends_at: datetime


async def alternatives(
    connection: Connection,
    person: UUID,
    lane: str,
    starts_at: datetime,
    ends_at: datetime,
    weapon_class: str,
    weapon_type: str | None,
) -> list[Alternative]:
    """The nearest times of that day, on lanes of the same range and discipline."""
    setting = await setting_of(connection)
    about = next((one for one in setting.lanes if one.lane == lane), None)
    if about is None or ends_at <= starts_at:
        return []
    zone = next(ZoneInfo(one.time_zone) for one in setting.ranges if one.range == about.range)
    day = starts_at.astimezone(zone).date()
    shown = await shown_slots(connection, setting, day, about.range, person, None, Written())
    if shown is None:
        return []
    lasts, discipline = ends_at - starts_at, about.discipline
    found = [one for row in shown.rows for one in _free(row, discipline, lasts, weapon_class, weapon_type)]
    found.sort(key=lambda one: (abs(one.starts_at - starts_at), one.lane != lane, one.starts_at, one.lane))
    return found[:MOST]


def _free(row: Row, discipline: str, lasts: timedelta, weapon_class: str, weapon_type: str | None) -> list[Alternative]:
    found = []
    slots = lasts // timedelta(minutes=row.range.slot_minutes)
    for lane, offers in row.lanes:
        if lane.discipline != discipline:
            continue
        fits = [
            offered.view.free
            and weapon_class in offered.view.own_weapon_classes
            and (weapon_type is None or any(one.weapon_type == weapon_type for one in offered.view.weapon_types))
            for offered in offers
        ]
        for n in range(len(offers) - slots + 1):
            first, last = offers[n].view, offers[n + slots - 1].view
            if all(fits[n : n + slots]) and last.ends_at - first.starts_at == lasts:
                found.append(Alternative(lane=lane.lane, starts_at=first.starts_at, ends_at=last.ends_at))
    return found
