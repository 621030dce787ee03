"""Stock audits: what was scanned against what the register has; and incidents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from bus.errors import Rejected
from bus.message import Event
from bus.service import Given
from handlers.armory.commands import AuditStock, QuarantineWeapon, ReportIncident
from handlers.armory.events import Finding, IncidentReported, StockAudited
from handlers.armory.model.fitness import Bench, quarantine_weapon
from handlers.armory.model.people import who


@dataclass(frozen=True, slots=True)
class Registered:
    """Where the register has a weapon: in a place (none: in the armoury, nobody said where), or not there at all."""

    location: str | None
    away: str | None = None  # `out`, `lost` or `retired`


class ScannedTwice(Rejected):
    """The weapon {weapon} was scanned twice; each can be in one place."""


class NotYet(Rejected):
    """{happened_at} has not come yet."""


def audit_stock(register: Mapping[UUID, Registered], asked: AuditStock, given: Given) -> Sequence[Event]:
    scanned: dict[UUID, str] = {}
    for scan in asked.scans:
        if scan.weapon in scanned:
            raise ScannedTwice(weapon=scan.weapon)
        scanned[scan.weapon] = scan.location
    expected = {
        weapon: one
        for weapon, one in register.items()
        if one.away is None and (asked.location is None or one.location == asked.location)
    }
    missing = [
        Finding(weapon=weapon, found="missing", registered=one.location or "armoury", place=None)
        for weapon, one in expected.items()
        if weapon not in scanned
    ]
    others = [found for weapon, place in scanned.items() if (found := _compared(register.get(weapon), weapon, place))]
    return [
        StockAudited(
            audit=asked.audit,
            location=asked.location,
            expected=len(expected),
            scanned=len(scanned),
            findings=tuple(sorted([*missing, *others], key=lambda one: (one.found, one.weapon))),
            audited_by=who(given),
            audited_at=given.at,
        )
    ]


def _compared(one: Registered | None, weapon: UUID, place: str) -> Finding | None:
    if one is None or one.away is not None:
        away = "unknown" if one is None or one.away is None else one.away
        return Finding(weapon=weapon, found="unexpected", registered=away, place=place)
    if one.location not in {None, place}:
        return Finding(weapon=weapon, found="misplaced", registered=one.location or "armoury", place=place)
    return None


def report_incident(bench: Bench, asked: ReportIncident, given: Given) -> Sequence[Event]:
    """A weapon that was part of it is looked at before it is handed out again."""
    happened_at = asked.happened_at or given.at
    if happened_at > given.at:
        raise NotYet(happened_at=happened_at.isoformat(timespec="minutes"))
    facts = {**asked.model_dump(), "happened_at": happened_at}
    said: list[Event] = [IncidentReported(**facts, reported_by=who(given), reported_at=given.at)]
    weapon = bench.weapon
    if asked.weapon is not None and weapon is not None and weapon.gone is None and weapon.quarantine is None:
        said += quarantine_weapon(bench, QuarantineWeapon(weapon=asked.weapon, reason="incident"), given)
    return said
