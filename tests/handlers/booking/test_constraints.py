"""What the database refuses by itself, whatever the code decides."""

from uuid import UUID

import asyncpg
import pytest

from tests.database import Database
from tests.handlers.booking.desk import Desk
from tests.handlers.booking.examples import ANNA, BEN, BOOKING

OTHER = UUID(int=0xB01)
INSERT = """
    INSERT INTO booking (booking, command, person, range, lane, discipline, starts_at, ends_at, during, weapon_class,
                         rounds, state, held_until, no_show_at, claim, participants, taken)
    VALUES ($1, $1, $2, 'hall', $3, 'air-pistol-10m', $5::text::timestamptz, $6::text::timestamptz, $4::text::tstzrange,
            'air', 0, 'held', '2026-06-01 12:01Z', '2026-06-01 23:00Z', $7, '{}', $4::text::tstzrange)
"""
START, END, LATER = "2026-06-01 14:00Z", "2026-06-01 15:00Z", "2026-06-01 16:00Z"


async def insert(
    desk: Desk,
    booking: UUID,
    shooter: UUID,
    lane: str,
    *,
    starts: str = START,
    ends: str = END,
    during: str = "",
    claim: UUID | None = None,
) -> None:
    during = during or f"[{starts}, {ends})"
    async with desk.connection.transaction():
        await desk.connection.execute(INSERT, booking, shooter, lane, during, starts, ends, claim or booking)
        await desk.connection.execute(
            "INSERT INTO shooter_time VALUES ($1, $2, $3::text::tstzrange, $4)",
            booking,
            shooter,
            during,
            claim or booking,
        )


async def begin(desk: Desk, booking: UUID) -> None:
    await desk.connection.execute(
        """
        UPDATE booking SET state = 'in-use', invoice = booking, total_minor = 0, currency = 'EUR',
                           checked_in_at = starts_at, started_at = starts_at
        WHERE booking = $1
        """,
        booking,
    )


@pytest.mark.parametrize(
    ("shooter", "lane", "constraint"),
    [(BEN, "lane-1", "one_booking_a_lane"), (ANNA, "lane-2", "one_booking_a_shooter")],
)
async def test_bookings_of_a_lane_or_a_shooter_that_overlap(
    hall: Desk, shooter: UUID, lane: str, constraint: str
) -> None:
    await insert(hall, BOOKING, ANNA, "lane-1")
    with pytest.raises(asyncpg.ExclusionViolationError, match=constraint):
        await insert(hall, OTHER, shooter, lane, starts="2026-06-01 14:59:59Z")
    await insert(hall, OTHER, shooter, lane, starts=END, ends=LATER)


async def test_bookings_of_one_claim_are_in_nobodys_way_but_others(hall: Desk) -> None:
    await insert(hall, BOOKING, ANNA, "lane-1")
    await insert(hall, OTHER, ANNA, "lane-1", claim=BOOKING)
    with pytest.raises(asyncpg.ExclusionViolationError):
        await insert(hall, UUID(int=0xB02), BEN, "lane-1", claim=UUID(int=0xB02))


async def test_a_booking_with_two_that_are_to_take_its_place(hall: Desk) -> None:
    await insert(hall, BOOKING, ANNA, "lane-1")
    for number, lane in ((OTHER, "lane-1"), (UUID(int=0xB02), "lane-2")):
        await insert(hall, number, ANNA, lane, claim=BOOKING)
    await hall.connection.execute("UPDATE booking SET replaces = $1 WHERE booking = $2", BOOKING, OTHER)
    with pytest.raises(asyncpg.UniqueViolationError, match="one_replacement_at_a_time"):
        await hall.connection.execute("UPDATE booking SET replaces = $1 WHERE lane = 'lane-2'", BOOKING)


async def test_bookings_that_are_closed_are_in_nobodys_way(hall: Desk) -> None:
    await insert(hall, BOOKING, ANNA, "lane-1")
    await hall.connection.execute("UPDATE booking SET state = 'cancelled'; DELETE FROM shooter_time")
    await insert(hall, OTHER, ANNA, "lane-1")


@pytest.mark.parametrize(
    "during",
    [
        "empty",
        "(,)",
        "[2026-06-01 14:00Z,)",
        "(,2026-06-01 15:00Z)",
        "[-infinity, 2026-06-01 15:00Z)",
        "[2026-06-01 14:00Z, infinity)",
        "[2026-06-01 14:00Z, 2026-06-01 15:00Z]",
        "(2026-06-01 13:00Z, 2026-06-01 15:00Z)",
        "[2026-06-01 14:10Z, 2026-06-01 15:00Z)",
        "[2026-06-01 14:00Z, 2026-06-01 16:00Z)",
    ],
)
async def test_a_range_that_is_no_time(hall: Desk, during: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="during_is_a_time"):
        await insert(hall, BOOKING, ANNA, "lane-1", during=during)


@pytest.mark.parametrize(
    ("starts", "ends"), [(START, START), (START, "infinity"), ("-infinity", END), (START, "2026-06-02 14:00:01Z")]
)
async def test_a_time_without_length_or_bounds(hall: Desk, starts: str, ends: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await insert(hall, BOOKING, ANNA, "lane-1", starts=starts, ends=ends)


@pytest.mark.parametrize(
    ("shooter", "lane", "constraint"),
    [(BEN, "lane-1", "one_session_a_lane"), (ANNA, "lane-2", "one_session_a_shooter")],
)
async def test_a_second_session_beside_one_that_runs_late(
    hall: Desk, shooter: UUID, lane: str, constraint: str
) -> None:
    await insert(hall, BOOKING, ANNA, "lane-1")
    await insert(hall, OTHER, shooter, lane, starts=END, ends=LATER)
    await begin(hall, BOOKING)
    with pytest.raises(asyncpg.ExclusionViolationError, match=constraint):
        await begin(hall, OTHER)


async def test_opening_hours_that_overlap(hall: Desk) -> None:
    with pytest.raises(asyncpg.ExclusionViolationError):
        await hall.connection.execute("INSERT INTO opening_hours VALUES ('hall', 1, 0, 541)")
    await hall.connection.execute("INSERT INTO opening_hours VALUES ('hall', 1, 0, 540)")


async def test_a_confirmed_booking_without_an_invoice_and_a_rejected_one_without_a_reason(hall: Desk) -> None:
    await insert(hall, BOOKING, ANNA, "lane-1")
    for state in ("confirmed", "rejected"):
        with pytest.raises(asyncpg.CheckViolationError):
            await hall.connection.execute("UPDATE booking SET state = $1", state)


async def test_the_gateway_reading_anything_but_views(database: Database) -> None:
    connection = await database.connect("gateway")
    await connection.fetch("SELECT FROM booking.bookings")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetch("SELECT FROM booking.booking")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("DELETE FROM booking.targets")
    await connection.close()
