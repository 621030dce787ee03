"""Each invariant sees what it is there to see: every breach is planted by hand, with the constraints taken away."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from asyncpg import Range

from simulation.history import Sent
from simulation.invariants.checks import INVARIANTS, check_all, check_rebuilds
from simulation.invariants.evidence import Evidence
from tests.database import Database
from tests.simulation.planting import MINUTE, NOON, NOTHING, Garden

SENT = Sent(lane="lane-1", number=1, miss=False, x_um=8_000, y_um=0, kind="match")
SHOT = {
    "device": "lane-1", "epoch": "e", "number": 1, "lane": "lane-1", "kind": "match", "miss": False, "x_um": 8_000,
    "y_um": 0, "elapsed_ms": 1, "received_at": NOON + 30 * timedelta(seconds=1), "face": None,
}  # fmt: skip


@pytest.fixture
async def garden(database: Database) -> AsyncIterator[Garden]:
    connection = await database.connect("postgres")
    await connection.execute("SET timezone = 'UTC'")
    try:
        yield Garden(connection)
    finally:
        await connection.close()


async def test_where_nothing_happened_nothing_is_broken(database: Database):
    findings = [finding async for finding in check_all(database.settings.admin_url, NOTHING)]
    assert [finding.number for finding in findings] == [1, 2, 3, 8, 10, 14, 17, 18, 24, 25, 27]
    assert [finding for finding in findings if not finding.ok] == []


def test_the_table_has_every_invariant_once():
    assert len({invariant.number for invariant in INVARIANTS}) == len(INVARIANTS)
    checks = [look for invariant in INVARIANTS for look in invariant.checks]
    assert len(set(checks)) == len(checks)


# 1


async def test_1_two_active_bookings_of_a_lane(garden: Garden):
    await garden.booking(lane="lane-1")
    await garden.booking(lane="lane-1", starts_at=NOON + MINUTE)
    assert (await garden.check(1)).ok, "one after the other is well"
    await garden.booking(lane="lane-1", state="in-use")
    [broken] = (await garden.check(1)).broken
    assert broken.startswith("active bookings overlap: ")


async def test_1_two_active_bookings_of_a_shooter(garden: Garden):
    person = uuid4()
    await garden.booking(person=person)
    await garden.booking(person=person, state="held")
    assert not (await garden.check(1)).ok


async def test_1_two_holds_that_stood_together_once(garden: Garden):
    first, second = uuid4(), uuid4()
    await garden.hold(first, "lane-1", uuid4())
    await garden.say("booking.booking-cancelled", f"booking:{first}", {"booking": first})
    await garden.hold(second, "lane-1", uuid4())
    assert (await garden.check(1)).ok, "the first was free again"
    await garden.hold(uuid4(), "lane-1", uuid4())
    await garden.say("booking.booking-cancelled", f"booking:{second}", {"booking": second})
    [broken] = (await garden.check(1)).broken
    assert broken.startswith("holds overlapped: ")


async def test_1_two_sessions_on_a_lane(garden: Garden):
    for booking in (uuid4(), uuid4()):
        body = {"booking": booking, "lane": "lane-1", "person": uuid4(), "started_at": NOON}
        await garden.say("booking.session-started", f"booking:{booking}", body)
    [broken] = (await garden.check(1)).broken
    assert broken.startswith("sessions overlapped: ")


async def test_1_a_weapon_in_two_hands(garden: Garden):
    weapon, first = uuid4(), uuid4()
    for booking in (first, uuid4()):
        await garden.say("armory.weapon-issued", f"weapon:{weapon}", {"weapon": weapon, "booking": booking})
    await garden.say("armory.weapon-returned", f"weapon:{weapon}", {"weapon": weapon, "booking": first})
    [broken] = (await garden.check(1)).broken
    assert broken.startswith("weapons were in two hands: ")


async def test_1_two_loans_of_a_weapon(garden: Garden):
    weapon = uuid4()
    for entry in (1, 3):
        await garden.row("armory.loan", weapon=weapon, entry=entry, booking=uuid4(), issued_at=NOON)
    [broken] = (await garden.check(1)).broken
    assert broken.startswith("loans overlap: ")


async def test_1_more_weapons_kept_than_there_are(garden: Garden):
    await garden.row("armory.weapon", weapon=uuid4(), weapon_type="air-pistol", serial="1")
    for minute in (0, 1):
        terms = {"weapon_type": "air-pistol", "starts_at": NOON + minute * MINUTE, "ends_at": NOON + 2 * MINUTE}
        booking = uuid4()
        await garden.say("armory.weapon-reserved", f"reservation:{booking}", {"booking": booking, "terms": terms})
    assert (await garden.check(1)).broken[0].startswith("more weapons kept than there are: ")


# 2 and 3


async def test_2_a_booking_is_granted_by_halves(garden: Garden):
    booking, person = uuid4(), uuid4()
    await garden.say("auth.licence-validated", f"licence-check:{booking}", {})
    await garden.row("payment.invoice", invoice=booking, booking=booking, person=person, number="2026-000001")
    await garden.row("payment.balance", invoice=booking, credited=False)
    await garden.booking(booking=booking, person=person)
    assert (await garden.check(2)).ok
    await garden.connection.execute("UPDATE booking.booking SET weapon_type = 'air-pistol'")
    assert not (await garden.check(2)).ok, "its weapon is not reserved"
    await garden.connection.execute("UPDATE booking.booking SET weapon_type = NULL")
    await garden.connection.execute("UPDATE payment.balance SET credited = true")
    assert not (await garden.check(2)).ok, "its invoice was taken back"
    await garden.connection.execute("DELETE FROM payment.balance; DELETE FROM payment.invoice")
    assert not (await garden.check(2)).ok, "it has no invoice"


@pytest.mark.parametrize("state", ["rejected", "cancelled", "no-show", "finished"])
async def test_2_a_weapon_is_kept_for_a_booking_that_has_ended(garden: Garden, state: str):
    person, booking = uuid4(), uuid4()
    await garden.say("auth.licence-validated", f"licence-check:{booking}", {})
    if state in ("no-show", "finished"):
        await garden.row("payment.invoice", invoice=booking, booking=booking, person=person, number="2026-000001")
        await garden.row("payment.balance", invoice=booking, credited=False)
    await garden.booking(booking=booking, person=person, state=state, weapon_type="air-pistol")
    during = Range(NOON, NOON + MINUTE)
    kept = {"booking": booking, "person": person, "weapon_type": "air-pistol", "during": during}
    await garden.row("armory.reservation", released=True, **kept)
    assert (await garden.check(2)).ok
    await garden.connection.execute("UPDATE armory.reservation SET released = false")
    [broken] = (await garden.check(2)).broken
    assert "weapon reserved" in broken


async def test_2_an_invoice_stands_for_a_rejected_booking(garden: Garden):
    booking = await garden.booking(state="rejected")
    await garden.row("payment.invoice", invoice=booking, booking=booking, number="2026-000001")
    await garden.row("payment.balance", invoice=booking, credited=False)
    [broken] = (await garden.check(2)).broken
    assert "invoice stands" in broken


async def test_2_a_weapon_is_out_for_nobody(garden: Garden):
    await garden.row("armory.loan", weapon=uuid4(), entry=1, booking=uuid4(), issued_at=NOON)
    [broken] = (await garden.check(2)).broken
    assert "weapon out" in broken


async def test_3_a_hold_is_older_than_it_may_be(garden: Garden):
    await garden.booking(state="held", held_until=NOON + timedelta(days=36_500))
    assert (await garden.check(3)).ok
    await garden.booking(state="held", held_until=NOON - timedelta(days=3_650))
    assert not (await garden.check(3)).ok


async def test_3_a_hold_was_answered_too_late(garden: Garden):
    booking = await garden.booking(held_until=NOON)
    await garden.say("booking.booking-confirmed", f"booking:{booking}", {}, at=NOON + timedelta(seconds=2))
    assert (await garden.check(3)).ok
    await garden.connection.execute("UPDATE bus.outbox SET at = at + interval '1 minute'")
    assert not (await garden.check(3)).ok


# 8 and 10


async def test_8_legs_that_are_not_balanced(garden: Garden):
    for account, amount in (("cash", 100), ("receivable:x", -99)):
        await garden.row("payment.leg", source="payment:x", account=account, currency="EUR", amount_minor=amount)
    broken = (await garden.check(8)).broken
    assert [one for one in broken if one.startswith("unbalanced: ")]


async def test_8_a_payment_that_is_not_in_the_ledger(garden: Garden):
    payment = uuid4()
    body = {"payment": payment, "invoice": uuid4(), "amount_minor": 100}
    await garden.say("payment.payment-taken", "invoice:x", body)
    [broken] = (await garden.check(8)).broken
    assert broken.startswith("legs that are not what happened: ")
    for account, amount in (("cash", 100), ("receivable:x", -100)):
        source = f"payment:{payment}"
        await garden.row("payment.leg", source=source, account=account, currency="EUR", amount_minor=amount)
    assert (await garden.check(8)).ok


async def test_10_a_booking_with_two_invoices(garden: Garden):
    person = uuid4()
    booking = await garden.booking(person=person)
    for ordinal in (1, 2):
        await garden.row(
            "payment.invoice", invoice=uuid4(), booking=booking, person=person, number=f"2026-00000{ordinal}"
        )
    [broken] = (await garden.check(10)).broken
    assert "booking has invoices" in broken


async def test_10_an_invoice_of_two_bookings(garden: Garden):
    invoice, person = uuid4(), uuid4()
    booking = await garden.booking(invoice=invoice, total_minor=100, person=person)
    await garden.row(
        "payment.invoice", invoice=invoice, booking=booking, person=person, total_minor=100, number="2026-000001"
    )
    assert (await garden.check(10)).ok
    await garden.booking(invoice=invoice, total_minor=100, person=person)
    assert not (await garden.check(10)).ok


async def test_10_a_payment_for_no_invoice(garden: Garden):
    body = {"payment": uuid4(), "invoice": uuid4(), "amount_minor": 100}
    await garden.say("payment.payment-taken", "invoice:x", body)
    [broken] = (await garden.check(10)).broken
    assert broken.startswith("paid without an invoice: ")


# 14, 17 and 18


async def test_14_a_command_that_does_not_end_once(garden: Garden):
    command = uuid4()
    evidence = Evidence(commands=[command], shots=[])
    assert not (await garden.check(14, evidence)).ok, "it is not in the log"
    await garden.say("booking.check-in", "booking:x", {}, id_=command)
    assert not (await garden.check(14, evidence)).ok, "it never ended"
    position = await garden.say("booking.shooter-checked-in", "booking:x", {}, revision=1, concludes=command)
    await garden.row("bus.outcome", command=command, status="done", position=position, at=NOON)
    assert (await garden.check(14, evidence)).ok
    again = await garden.say("booking.command-rejected", "booking:x", {}, revision=2, concludes=command)
    [broken] = (await garden.check(14, evidence)).broken
    assert "outcomes=1, answers=2" in broken
    await garden.row("bus.outcome", command=command, status="rejected", position=again, at=NOON)
    [broken] = (await garden.check(14, evidence)).broken
    assert "outcomes=2, answers=2" in broken


async def test_14_a_command_that_no_client_heard_of_must_end_too(garden: Garden):
    command = uuid4()
    await garden.row(
        "bus.accepted", key=command, hash=b"", id=command, actor="person:x", name="booking.check-in", at=NOON
    )
    await garden.say("booking.check-in", "booking:x", {}, id_=command)
    assert not (await garden.check(14)).ok


async def test_14_an_outcome_that_no_event_gave(garden: Garden):
    position = await garden.say("booking.shooter-checked-in", "booking:x", {}, revision=1)
    await garden.row("bus.outcome", command=uuid4(), status="done", position=position, at=NOON)
    [broken] = (await garden.check(14)).broken
    assert broken.startswith("outcomes without their event: ")


@pytest.mark.parametrize("revisions", [(1, 3), (1, 1), (2, 1), (2,), (1, None)])
async def test_17_a_stream_that_does_not_count(garden: Garden, revisions: tuple[int | None, ...]):
    await garden.say("booking.lane-opened", "lane:other", {}, revision=1)
    assert (await garden.check(17)).ok
    for revision in revisions:
        await garden.say("booking.lane-opened", "lane:lane-1", {}, revision=revision)
    assert not (await garden.check(17)).ok


async def progress(garden: Garden, since: int, until: int, heard: list[int]) -> None:
    digest = 0
    for position in heard:
        digest ^= position * 0x9E3779B97F4A7C15 & 0x7FFFFFFFFFFFFFFF
    await garden.row(
        "bus.progress", consumer="booking", partitions=-1, from_position=since, to_position=until, count=len(heard),
        digest=digest, fence=1, at=NOON,
    )  # fmt: skip


async def check_in(garden: Garden) -> int:
    """Something that booking alone listens to."""
    return await garden.say("booking.check-in", "booking:x", {})


async def test_18_a_cursor_that_jumps(garden: Garden):
    first, second = await check_in(garden), await check_in(garden)
    await progress(garden, 0, first, [first])
    await progress(garden, first, second, [second])
    assert (await garden.check(18)).ok
    await progress(garden, second + 5, second + 9, [])
    [broken] = (await garden.check(18)).broken
    assert broken.startswith("cursors that jumped: ")


async def test_18_a_message_that_was_passed_by(garden: Garden):
    first, second = await check_in(garden), await check_in(garden)
    await progress(garden, 0, second, [first])
    [broken] = (await garden.check(18)).broken
    assert broken.startswith("batches that missed something: ")


async def test_18_another_message_in_its_place(garden: Garden):
    position = await check_in(garden)
    await progress(garden, 0, position, [position + 1])
    assert not (await garden.check(18)).ok


async def test_18_a_consumer_that_has_not_come_so_far(garden: Garden):
    await check_in(garden)
    [broken] = (await garden.check(18)).broken
    assert broken.startswith("consumers left behind: ")


@pytest.mark.parametrize("table", ["parked", "dead_letter"])
async def test_18_a_message_that_was_put_aside(garden: Garden, table: str):
    place = {"head": 1, "last": 1} if table == "parked" else {"position": 1, "name": "x"}
    await garden.row(f"bus.{table}", consumer="booking", stream="booking:x", cause="Fault", **place)
    assert not (await garden.check(18)).ok


# 24, 25 and 27


async def test_24_a_shot_that_was_not_stored_and_one_that_nobody_fired(garden: Garden):
    assert not (await garden.check(24, Evidence([], [SENT]))).ok, "it is not in the log"
    await garden.say("tracking.shot-recorded", "target:lane-1", SHOT, revision=1)
    await garden.row("stats.shot", **SHOT, inner_ten=False)
    assert (await garden.check(24, Evidence([], [SENT]))).ok
    assert not (await garden.check(24)).ok, "nobody fired it"
    assert not (await garden.check(24, Evidence([], [SENT._replace(x_um=8_010)]))).ok, "it hit elsewhere"


async def test_24_a_shot_that_is_stored_twice(garden: Garden):
    for _ in range(2):
        await garden.say("tracking.shot-recorded", "target:lane-1", SHOT, revision=1)
        await garden.row("stats.shot", **SHOT, inner_ten=False)
    broken = (await garden.check(24, Evidence([], [SENT]))).broken
    assert [one.partition(":")[0] for one in broken] == ["shots twice", "shots sent and stored apart"]


async def test_24_a_shot_that_stats_has_otherwise(garden: Garden):
    await garden.say("tracking.shot-recorded", "target:lane-1", SHOT, revision=1)
    await garden.row("stats.shot", **(SHOT | {"lane": "lane-2"}), inner_ten=False)
    broken = (await garden.check(24, Evidence([], [SENT]))).broken
    assert [one.partition(":")[0] for one in broken] == ["shots logged and kept apart"] * 2


async def finished_session(garden: Garden) -> dict[str, object]:
    """A session with one shot at 8 mm, which just touches the ten; returns its result."""
    session = uuid4()
    about = {"booking": session, "lane": "lane-1", "person": uuid4()}
    started = {**about, "discipline": "air-pistol-10m", "started_at": NOON}
    await garden.say("booking.session-started", f"booking:{session}", started)
    await garden.say("booking.session-finished", f"booking:{session}", {**about, "finished_at": NOON + MINUTE})
    await garden.say("tracking.shot-recorded", "target:lane-1", SHOT, revision=1)
    return {
        "session": session, "final": True, "shots": 1, "score_tenths": 100, "integer_score": 10, "inner_tens": 0,
        "mean_score": 10.0, "centre_x_um": 8_000.0, "centre_y_um": 0.0, "mean_radius_um": 0.0, "sighters": 0,
        "misses": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"final": False},
        {"shots": 2},
        {"score_tenths": 101},
        {"inner_tens": 1},
        {"misses": 1},
        {"sighters": 1},
        {"mean_score": 9.9},
        {"centre_x_um": 8_000.1},
        {"mean_radius_um": None},
    ],
)
async def test_25_a_result_that_is_not_what_the_shots_add_up_to(garden: Garden, wrong: dict[str, object]):
    result = await finished_session(garden)
    assert not (await garden.check(25)).ok, "it is missing"
    await garden.row("stats.result", **result)
    assert (await garden.check(25)).ok
    await garden.connection.execute("DELETE FROM stats.result")
    await garden.row("stats.result", **(result | wrong))
    assert not (await garden.check(25)).ok


async def test_25_a_number_that_is_none(garden: Garden):
    await garden.row("stats.result", session=uuid4(), extreme_spread_um=float("nan"))
    [broken] = (await garden.check(25)).broken
    assert broken.startswith("numbers that are none: ")


async def test_27_a_row_that_no_event_made(garden: Garden, database: Database):
    await garden.row("stats.lane", lane="lane-1")
    [broken] = (await check_rebuilds(database.settings.admin_url)).broken
    assert broken == "stats.lane, only live: (lane-1)"


async def test_what_is_broken_is_told_in_a_few_rows(garden: Garden):
    for _ in range(8):
        await garden.say("booking.lane-opened", "lane:lane-1", {}, revision=7)
    broken = (await garden.check(17)).broken
    assert len(broken) == 6
    assert broken[-1].endswith("and 2 more")
