"""The services together: a booking goes through all of them, or leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from bus.identity import uuid7
from handlers.armory.commands import AddWeapon, AddWeaponType, IssueWeapon, ReturnWeapon, StockAmmunition
from handlers.auth.commands import ConfirmLicence, PublishRules, SuspendLicence
from handlers.auth.events import LicenceRecorded, PersonRegistered, Role
from handlers.auth.rule_sets import RUSSIAN_CIVIL
from handlers.booking.commands import (
    AcceptOffer,
    BookSession,
    CancelBooking,
    CheckIn,
    FinishSession,
    JoinWaitlist,
    OpenLane,
    RescheduleBooking,
    SetUpRange,
    StartSession,
)
from handlers.booking.events import CancellationFee, OpeningHours, Policy
from handlers.payment.commands import PublishPriceList, TakePayment
from handlers.rebuild import verify
from handlers.wiring import SERVICES
from tests.database import Database
from tests.handlers.services_at_work import AtWork, at_work

ADMIN, SHOOTER, ARMOURER, INSTRUCTOR, CASHIER = (uuid7() for _ in range(5))
STAFF: dict[UUID, Role] = {
    ADMIN: "admin",
    ARMOURER: "armourer",
    INSTRUCTOR: "instructor",
    CASHIER: "cashier",
    SHOOTER: "shooter",
}
ALL_DAY = tuple(OpeningHours(weekday=day, opens_minute=0, closes_minute=1440) for day in range(1, 8))


PLAIN = Policy()


def person(number: UUID) -> str:
    return f"person:{number}"


async def open_the_range(services: AtWork, *, hold_s: int = 60, licence: bool = True, policy: Policy = PLAIN) -> None:
    for number, role in STAFF.items():
        await services.say("auth", PersonRegistered(person=number, roles=("shooter", role)))
    admin = person(ADMIN)
    for command in (
        SetUpRange(
            range="club",
            title="The club's range",
            time_zone="Europe/Berlin",
            opening_hours=ALL_DAY,
            slot_minutes=30,
            hold_seconds=hold_s,
            early_check_in_minutes=7 * 24 * 60,
            no_show_minutes=15,
            policy=policy,
        ),
        OpenLane(range="club", lane="lane-1", distance_m=10, discipline="air-pistol-10m", weapon_classes=("air",)),
        AddWeaponType(weapon_type="air-pistol", weapon_class="air", calibre="4.5 mm", title="Air pistol"),
        StockAmmunition(calibre="4.5 mm", rounds=1000),
        PublishPriceList(
            currency="EUR",
            tax_permille=190,
            lane_hour_minor=1200,
            weapon_minor={"air-pistol": 500},
            round_minor={"air": 5},
        ),
    ):
        outcome = await services.ask(command, admin)
        assert outcome.status == "done", outcome
    weapon = uuid7()
    outcome = await services.ask(
        AddWeapon(weapon=weapon, weapon_type="air-pistol", serial="AP-1"), admin, number=weapon
    )
    assert outcome.status == "done", outcome
    if licence:
        number, now = uuid7(), datetime.now(UTC)
        await services.say(
            "auth",
            LicenceRecorded(
                person=SHOOTER,
                licence=number,
                category="pneumatic",
                valid_from=now - timedelta(days=30),
                valid_until=now + timedelta(days=300),
            ),
        )
        outcome = await services.ask(ConfirmLicence(person=SHOOTER, licence=number), admin)
        assert outcome.status == "done", outcome
    await services.until("SELECT count(*) FROM booking.known_weapon_type")


def wish(booking: UUID, *, days: int = 1, rounds: int = 40) -> BookSession:
    tomorrow = (datetime.now(UTC) + timedelta(days=days)).replace(hour=12, minute=0, second=0, microsecond=0)
    return BookSession(
        booking=booking,
        person=SHOOTER,
        lane="lane-1",
        starts_at=tomorrow,
        ends_at=tomorrow + timedelta(hours=1),
        weapon_class="air",
        weapon_type="air-pistol",
        rounds=rounds,
    )


@pytest.fixture
async def services(database: Database) -> AsyncIterator[AtWork]:
    async with at_work(database) as working:
        yield working


async def test_a_booking_is_held_licensed_armed_invoiced_confirmed_paid_shot_and_finished(services: AtWork):
    await open_the_range(services)
    booking = uuid7()
    outcome = await services.ask(wish(booking), person(SHOOTER), number=booking)
    assert (outcome.status, outcome.name) == ("done", "booking.booking-confirmed"), outcome
    total = outcome.body["total_minor"]
    assert total == 1200 + 500 + 40 * 5

    paid = TakePayment(invoice=booking, amount_minor=total, currency="EUR", method="cash")
    assert (await services.ask(paid, person(CASHIER))).status == "done"
    [ledger] = await services.fetch("SELECT sum(amount_minor) AS zero, count(*) AS legs FROM payment.leg")
    assert ledger["zero"] == 0
    assert ledger["legs"] >= 5

    assert (await services.ask(CheckIn(booking=booking), person(SHOOTER))).status == "done"
    [weapon] = await services.fetch("SELECT weapon FROM armory.weapon")
    await services.until("SELECT checked_in_at IS NOT NULL FROM armory.known_booking WHERE booking = $1", booking)
    issue = IssueWeapon(booking=booking, weapon=weapon["weapon"], rounds=40)
    assert (await services.ask(issue, person(ARMOURER))).status == "done"
    await services.until("SELECT true FROM booking.known_custody WHERE booking = $1", booking)
    assert (await services.ask(StartSession(booking=booking), person(SHOOTER))).status == "done"
    early = await services.ask(FinishSession(booking=booking), person(INSTRUCTOR))
    assert early.status == "rejected", "the weapon is still out"
    back = ReturnWeapon(booking=booking, weapon=weapon["weapon"], rounds_returned=10)
    assert (await services.ask(back, person(ARMOURER))).status == "done"
    await services.until("SELECT returned_at IS NOT NULL FROM booking.known_custody WHERE booking = $1", booking)
    assert (await services.ask(FinishSession(booking=booking), person(INSTRUCTOR))).status == "done"
    scored = await services.until("SELECT count(*) FROM bus.outbox WHERE name = 'stats.session-scored'")
    assert scored == 1

    for make in SERVICES.values():
        service = make()
        tables = await verify(services.database.url("postgres"), service, lambda _applied: None)
        assert tables, service.name
        assert [table for table in tables if not table.same] == [], service.name


async def test_a_rebuild_tells_which_row_is_not_what_the_events_say(services: AtWork):
    await open_the_range(services)
    await services.fetch("UPDATE booking.lane SET distance_m = 11")
    tables = await verify(services.database.url("postgres"), SERVICES["booking"](), lambda _applied: None)
    [lane] = [table for table in tables if not table.same]
    assert lane.table == "lane"
    assert ",11," in lane.only_live[0]
    assert ",10," in lane.only_rebuilt[0]


async def test_without_a_licence_auth_refuses_and_everything_is_free_again(services: AtWork):
    await open_the_range(services, licence=False)
    booking = uuid7()
    outcome = await services.ask(wish(booking), person(SHOOTER), number=booking)
    assert outcome.status == "rejected"
    assert outcome.body["refused_by"] == "auth"
    assert outcome.body["rule"]
    assert outcome.body["reason"]
    rows = await services.fetch(
        "SELECT count(*) AS n FROM booking.booking WHERE state IN ('held', 'confirmed', 'in-use')"
    )
    assert rows[0]["n"] == 0


async def test_a_suspended_licence_calls_off_what_was_booked_by_it_and_says_why(services: AtWork):
    await open_the_range(services)
    booking = uuid7()
    assert (await services.ask(wish(booking), person(SHOOTER), number=booking)).status == "done"
    [licence] = await services.fetch("SELECT licence FROM auth.licence")
    suspend = SuspendLicence(person=SHOOTER, licence=licence["licence"], reason="lost")
    assert (await services.ask(suspend, person(INSTRUCTOR))).status == "done"
    await services.until("SELECT state = 'cancelled' FROM booking.booking WHERE booking = $1", booking)
    await services.until("SELECT true FROM bus.outbox WHERE name = 'payment.invoice-credited'")
    await services.until("SELECT true FROM bus.outbox WHERE name = 'armory.reservation-released'")
    [row] = await services.fetch("SELECT refused_by, rule, reason FROM booking.booking")
    assert (row["refused_by"], row["rule"]) == ("auth", "entitlement-withdrawn")
    assert row["reason"].endswith("the licence of category pneumatic was suspended (lost).")
    for name in ("auth", "booking"):
        tables = await verify(services.database.url("postgres"), SERVICES[name](), lambda _applied: None)
        assert [table for table in tables if not table.same] == []


async def test_rules_that_take_effect_call_off_what_they_refuse_and_say_why(services: AtWork):
    await open_the_range(services)
    booking = uuid7()
    assert (await services.ask(wish(booking), person(SHOOTER), number=booking)).status == "done"
    ask = PublishRules(code="ru-civil", rule_set=RUSSIAN_CIVIL, takes_effect_at=datetime.now(UTC))
    assert (await services.ask(ask, person(ADMIN))).status == "done"
    await services.until("SELECT state = 'cancelled' FROM booking.booking WHERE booking = $1", booking)
    [row] = await services.fetch("SELECT rule, rule_version, reason FROM booking.booking")
    assert row["reason"].endswith("the range's rules are ru-civil, version 1, now.")
    again = uuid7()
    outcome = await services.ask(wish(again), person(SHOOTER), number=again)
    assert (outcome.status, outcome.body["refused_by"]) == ("rejected", "auth")


async def test_a_licence_that_ends_within_a_month_is_told_of_in_profile_and_slots(services: AtWork):
    await open_the_range(services, licence=False)
    number, now = uuid7(), datetime.now(UTC)
    await services.say(
        "auth",
        LicenceRecorded(
            person=SHOOTER,
            licence=number,
            category="pneumatic",
            valid_from=now - timedelta(days=30),
            valid_until=now + timedelta(days=29),
        ),
    )
    assert (await services.ask(ConfirmLicence(person=SHOOTER, licence=number), person(ADMIN))).status == "done"
    await services.until("SELECT expiry_foreseen FROM auth.entitlements WHERE person = $1", SHOOTER)
    await services.until("SELECT expiry_foreseen FROM booking.entitlements WHERE person = $1", SHOOTER)
    [left] = await services.fetch("SELECT count(*) AS n FROM bus.scheduled WHERE service = 'auth'")
    assert left["n"] == 0


async def test_a_second_booking_of_the_same_time_is_refused_by_booking(services: AtWork):
    await open_the_range(services)
    first, second = uuid7(), uuid7()
    assert (await services.ask(wish(first), person(SHOOTER), number=first)).status == "done"
    outcome = await services.ask(wish(second), person(SHOOTER), number=second)
    assert (outcome.status, outcome.body["refused_by"]) == ("rejected", "booking")


async def test_a_cancelled_booking_frees_lane_and_weapon_and_takes_the_invoice_back(services: AtWork):
    await open_the_range(services)
    first, second = uuid7(), uuid7()
    assert (await services.ask(wish(first), person(SHOOTER), number=first)).status == "done"
    assert (await services.ask(CancelBooking(booking=first), person(SHOOTER))).status == "done"
    await services.until("SELECT true FROM bus.outbox WHERE name = 'payment.invoice-credited'")
    await services.until("SELECT true FROM bus.outbox WHERE name = 'armory.reservation-released'")
    assert (await services.ask(wish(second), person(SHOOTER), number=second)).status == "done"


async def test_with_a_service_away_the_hold_expires_and_says_who_did_not_answer(database: Database):
    async with at_work(database) as services:
        await open_the_range(services, hold_s=1)
    async with at_work(database, without=frozenset({"armory"})) as services:
        booking = uuid7()
        outcome = await services.ask(wish(booking), person(SHOOTER), number=booking)
        assert outcome.status == "rejected"
        assert outcome.body["rule"] == "hold-expired"
        assert "armory" in outcome.body["reason"]
    async with at_work(database) as services:
        again = uuid7()
        assert (await services.ask(wish(again), person(SHOOTER), number=again)).status in ("done", "rejected")
        await services.until("SELECT closed = 'rejected' FROM armory.known_booking WHERE booking = $1", booking)
        kept = await services.fetch("SELECT FROM armory.reservation WHERE booking = $1 AND NOT released", booking)
        assert not kept, "what came late for a closed booking is let go again"


async def test_a_booking_that_is_moved_takes_its_only_weapon_along_and_its_invoice_is_taken_back(services: AtWork):
    await open_the_range(services)
    booking, moved = uuid7(), uuid7()
    asked = wish(booking)
    assert (await services.ask(asked, person(SHOOTER), number=booking)).status == "done"
    half = timedelta(minutes=30)
    move = RescheduleBooking(
        replacement=moved,
        booking=booking,
        lane="lane-1",
        starts_at=asked.starts_at + half,
        ends_at=asked.ends_at + half,
    )
    outcome = await services.ask(move, person(SHOOTER), number=moved)
    assert (outcome.status, outcome.name) == ("done", "booking.booking-confirmed"), outcome
    await services.until("SELECT count(*) = 1 FROM armory.reservation WHERE NOT released")
    await services.until("SELECT count(*) = 1 FROM payment.balance WHERE credited")
    (kept,) = await services.fetch("SELECT booking FROM armory.reservation WHERE NOT released")
    assert kept["booking"] == moved
    (taken_back,) = await services.fetch("SELECT invoice FROM payment.balance WHERE credited")
    assert taken_back["invoice"] == booking
    await same_from_the_log(services)


async def test_who_cancels_late_is_invoiced_the_fee_beside_the_credit_note(services: AtWork):
    fees = (CancellationFee(notice_minutes=7 * 24 * 60, permille=500),)
    await open_the_range(services, policy=Policy(cancellation_fees=fees))
    booking = uuid7()
    assert (await services.ask(wish(booking), person(SHOOTER), number=booking)).status == "done"
    assert (await services.ask(CancelBooking(booking=booking), person(SHOOTER))).status == "done"
    await services.until("SELECT count(*) = 2 FROM payment.invoice")
    await services.until("SELECT count(*) = 1 FROM payment.balance WHERE credited")
    rows = await services.fetch(
        """
        SELECT i.purpose, i.total_minor, b.credited, i.invoice
        FROM payment.invoice AS i JOIN payment.balance AS b USING (invoice) ORDER BY i.number
        """
    )
    assert [(row["purpose"], row["total_minor"], row["credited"]) for row in rows] == [
        ("booking", 1900, True),
        ("cancellation-fee", 950, False),
    ]
    pay = TakePayment(invoice=rows[1]["invoice"], amount_minor=950, currency="EUR", method="cash")
    assert (await services.ask(pay, person(CASHIER))).status == "done"
    await same_from_the_log(services)
    assert await services.fetch("SELECT FROM booking.known_settlement") == [], "the booking itself was not paid"


async def same_from_the_log(services: AtWork) -> None:
    for name, make in SERVICES.items():
        compared = await verify(services.database.url("postgres"), make(), lambda _: None)
        assert [one for one in compared if not one.same] == [], name


async def test_who_waits_is_offered_what_is_cancelled_and_books_it(services: AtWork):
    await open_the_range(services)
    booking, entry, taken = uuid7(), uuid7(), uuid7()
    asked = wish(booking)
    assert (await services.ask(asked, person(SHOOTER), number=booking)).status == "done"
    join = JoinWaitlist(
        entry=entry,
        person=SHOOTER,
        range="club",
        discipline="air-pistol-10m",
        starts_at=asked.starts_at,
        ends_at=asked.ends_at,
        weapon_class="air",
        weapon_type="air-pistol",
    )
    assert (await services.ask(join, person(SHOOTER), number=entry)).status == "done"
    assert (await services.ask(CancelBooking(booking=booking), person(SHOOTER))).status == "done"
    await services.until("SELECT count(*) = 1 FROM booking.waitlist_entry WHERE state = 'offered'")
    await services.until("SELECT count(*) = 0 FROM armory.reservation WHERE NOT released")
    outcome = await services.ask(AcceptOffer(booking=taken, entry=entry), person(SHOOTER), number=taken)
    assert (outcome.status, outcome.name) == ("done", "booking.booking-confirmed"), outcome
    await same_from_the_log(services)


async def test_two_hundred_want_the_last_lane_and_one_gets_it(services: AtWork):
    await open_the_range(services)
    rivals, now = [uuid7() for _ in range(200)], datetime.now(UTC)
    recorded = [
        LicenceRecorded(
            person=rival,
            licence=rival,
            category="pneumatic",
            valid_from=now - timedelta(days=30),
            valid_until=now + timedelta(days=300),
        )
        for rival in rivals
    ]
    await services.say("auth", *(PersonRegistered(person=rival, roles=("shooter",)) for rival in rivals), *recorded)
    confirmed = (services.ask(ConfirmLicence(person=rival, licence=rival), person(ADMIN)) for rival in rivals)
    assert {outcome.status for outcome in await asyncio.gather(*confirmed)} == {"done"}
    wishes = [wish(uuid7()).model_copy(update={"person": rival, "weapon_type": None}) for rival in rivals]
    outcomes = await asyncio.gather(*(services.ask(one, person(one.person), number=one.booking) for one in wishes))
    won = [one for one in outcomes if one.status == "done"]
    assert len(won) == 1
    assert {one.body["rule"] for one in outcomes if one.status == "rejected"} == {"slot-taken"}
    assert len(await services.fetch("SELECT FROM booking.booking")) == 1
