"""What is scanned against what the register has; and incidents."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from hypothesis import given as drawn
from hypothesis import strategies as st

from handlers.armory.commands import (
    AuditStock,
    MoveWeapon,
    ReportIncident,
    ReportLoss,
    Scan,
)
from handlers.armory.events import IncidentReported, StockAudited, WeaponQuarantined
from handlers.armory.model.audits import NotYet, Registered, ScannedTwice, audit_stock, report_incident
from handlers.armory.model.fitness import Bench
from handlers.armory.views import audits as audits_views
from tests.database import Database
from tests.handlers.armory.hearing import Hearing, empty, rows
from tests.handlers.armory.made import AT_COUNTER, CARLA, RIFLE, booking, checked_in, issue, terms, validated, weapon
from tests.handlers.scenario import NOON, given

AUDIT, INCIDENT = UUID(int=501), UUID(int=601)


def audit(scans: dict[int, str], location: str | None = None) -> AuditStock:
    seen = tuple(Scan(weapon=weapon(one), location=place) for one, place in scans.items())
    return AuditStock(audit=AUDIT, location=location, scans=seen)


def findings(register: dict[int, Registered], asked: AuditStock) -> dict[int, tuple[str, str, str | None]]:
    known = {weapon(number): one for number, one in register.items()}
    (said,) = given(known, actor=AT_COUNTER).when(audit_stock, asked).effects
    assert isinstance(said, StockAudited)
    return {one.weapon.int - 2000: (one.found, one.registered, one.place) for one in said.findings}


REGISTER = {
    1: Registered("safe-1"),
    2: Registered("safe-2"),
    3: Registered("safe-1", "out"),
    4: Registered("safe-1", "lost"),
    5: Registered("safe-1", "retired"),
    6: Registered(None),
}


def test_what_is_missing_unexpected_or_misplaced_is_named() -> None:
    assert findings(REGISTER, audit({1: "safe-1", 2: "safe-2", 6: "safe-2"})) == {}
    assert findings(REGISTER, audit({2: "safe-1", 3: "safe-1", 4: "safe-1", 5: "safe-1", 9: "safe-1"})) == {
        1: ("missing", "safe-1", None),
        6: ("missing", "armoury", None),
        2: ("misplaced", "safe-2", "safe-1"),
        3: ("unexpected", "out", "safe-1"),
        4: ("unexpected", "lost", "safe-1"),
        5: ("unexpected", "retired", "safe-1"),
        9: ("unexpected", "unknown", "safe-1"),
    }


def test_an_audit_of_one_place_misses_only_what_belongs_there() -> None:
    assert findings(REGISTER, audit({}, "safe-2")) == {2: ("missing", "safe-2", None)}
    assert findings(REGISTER, audit({2: "safe-2", 1: "safe-2"}, "safe-2")) == {1: ("misplaced", "safe-1", "safe-2")}


def test_a_weapon_is_scanned_in_one_place() -> None:
    twice = AuditStock(audit=AUDIT, scans=tuple(Scan(weapon=weapon(1), location=place) for place in ("a", "b")))
    given({}, actor=AT_COUNTER).when(audit_stock, twice).then_refused(ScannedTwice, weapon=weapon(1))


places = st.sampled_from(["safe-1", "safe-2"])
registers = st.dictionaries(
    st.integers(1, 6),
    st.builds(Registered, st.none() | places, st.none() | st.sampled_from(["out", "lost", "retired"])),
)


@drawn(registers, st.dictionaries(st.integers(1, 8), places), st.none() | places)
def test_every_weapon_is_either_as_registered_or_found_once(
    register: dict[int, Registered], scans: dict[int, str], location: str | None
) -> None:
    found = findings(register, audit(scans, location))
    for number in {*register, *scans}:
        one, place = register.get(number), scans.get(number)
        there = one is not None and one.away is None
        agrees = (
            (there and (one is None or one.location in {None, place}))
            if place is not None
            else (not there or (location is not None and one is not None and one.location != location))
        )
        assert (number in found) != agrees


def test_a_weapon_of_an_incident_goes_into_quarantine() -> None:
    asked = ReportIncident(incident=INCIDENT, kind="malfunction", range="club", weapon=weapon(1))
    said = given(Bench(RIFLE, out=False), actor=AT_COUNTER).when(report_incident, asked).effects
    assert said[0] == IncidentReported(
        incident=INCIDENT,
        kind="malfunction",
        range="club",
        lane=None,
        booking=None,
        weapon=weapon(1),
        happened_at=NOON,
        reported_by=CARLA,
        reported_at=NOON,
    )
    assert isinstance(said[1], WeaponQuarantined)
    assert said[1].reason == "incident"
    for one in (replace(RIFLE, quarantine="damaged"), replace(RIFLE, gone="lost"), None):
        assert len(given(Bench(one, out=False), actor=AT_COUNTER).when(report_incident, asked).effects) == 1
    later = asked.model_copy(update={"happened_at": NOON + timedelta(minutes=1)})
    given(Bench(None, out=False), actor=AT_COUNTER).when(report_incident, later).then_refused(NotYet)


async def test_an_audit_and_an_incident_are_kept_and_shown(stocked: Hearing, database: Database) -> None:
    await stocked.hears(MoveWeapon(weapon=weapon(1), location="safe-1"), by=AT_COUNTER)
    await stocked.hears(validated(terms(1)))
    await stocked.hears(checked_in(terms(1)))
    await stocked.hears(issue(1, 2), by=AT_COUNTER)
    await stocked.hears(ReportLoss(weapon=weapon(3), reason="missing"), by=AT_COUNTER)
    await stocked.hears(audit({1: "safe-2", 2: "safe-1", 3: "safe-1"}), by=AT_COUNTER)
    await stocked.hears(
        ReportIncident(incident=INCIDENT, kind="unsafe-handling", range="club", lane="lane-1", booking=booking(1)),
        by=AT_COUNTER,
    )
    gateway = await database.connect("gateway")
    shown = await audits_views.audit(gateway, AUDIT)
    assert shown is not None
    assert (shown.expected, shown.scanned) == (1, 3)
    assert {(one.weapon, one.found, one.registered) for one in shown.findings} == {
        (weapon(1), "misplaced", "safe-1"),
        (weapon(2), "unexpected", "out"),
        (weapon(3), "unexpected", "lost"),
    }
    assert await audits_views.audit(gateway, UUID(int=9)) is None
    (incident,) = await audits_views.incidents(gateway, most=9)
    assert (incident.kind, incident.booking, incident.reported_by) == ("unsafe-handling", booking(1), CARLA)
    await gateway.close()

    superuser = await database.connect("postgres")
    live = await rows(superuser, "armory")
    await empty(superuser, "armory")
    await stocked.replay(stocked.log)
    assert await rows(superuser, "armory") == live
    await superuser.close()
