"""The table of invariants, and how they are checked: all of one snapshot, then each service rebuilt from the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from asyncpg import Record

from bus.connection import Connection, close, connect
from handlers.rebuild import verify
from handlers.wiring import SERVICES
from simulation.invariants import deliveries, money, reservations, shooting
from simulation.invariants.evidence import Evidence, Finding, Invariant

SHOWN: Final = 5
CHECK_TIMEOUT_S: Final = 60

INVARIANTS: Final = (
    Invariant(
        1,
        "No two active reservations of a lane, a weapon or a shooter overlap, nor ever did.",
        (
            reservations.active_bookings_overlap,
            reservations.holds_overlapped,
            reservations.sessions_overlapped,
            reservations.weapons_were_in_two_hands,
            reservations.loans_overlap,
            reservations.more_weapons_kept_than_there_are,
        ),
    ),
    Invariant(
        2,
        "A booking has all that it takes, or nothing.",
        (reservations.granted_by_halves, reservations.kept_for_nothing),
    ),
    Invariant(3, "No hold outlives its deadline.", (reservations.holds_too_old,)),
    Invariant(
        8,
        "The ledger's legs are 0 by transaction, by currency and overall, and are what happened.",
        (money.unbalanced, money.legs_that_are_not_what_happened),
    ),
    Invariant(
        10,
        "Every paid booking has exactly one invoice, and every invoice one booking.",
        (money.bookings_and_invoices_apart, money.paid_without_an_invoice),
    ),
    Invariant(
        14,
        "Every accepted command has exactly one outcome.",
        (deliveries.commands_not_ended_once, deliveries.outcomes_without_their_event),
    ),
    Invariant(17, "Every stream counts 1, 2, 3 … without a gap.", (deliveries.streams_that_do_not_count,)),
    Invariant(
        18,
        "Every consumer has seen all that it listens to, each once.",
        (
            deliveries.cursors_that_jumped,
            deliveries.batches_that_missed_something,
            deliveries.consumers_left_behind,
        ),
    ),
    Invariant(
        24,
        "Every shot that was fired is stored once, and no other.",
        (shooting.shots_twice, shooting.shots_sent_and_stored_apart, shooting.shots_logged_and_kept_apart),
    ),
    Invariant(
        25,
        "Results are what the shots in the log add up to; no NaN, no infinity.",
        (shooting.results_that_do_not_add_up, shooting.numbers_that_are_none),
    ),
)


async def check_all(admin_url: str, evidence: Evidence) -> AsyncIterator[Finding]:
    """Checks one after the other. Needs a connection that may read everything and make schemas."""
    connection = await connect(admin_url, "firingline-invariants")
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            for invariant in INVARIANTS:
                yield await check(connection, invariant, evidence)
    finally:
        await close(connection)
    yield await check_rebuilds(admin_url)


async def check(connection: Connection, invariant: Invariant, evidence: Evidence) -> Finding:
    broken: list[str] = []
    for look in invariant.checks:
        rows = await look(connection, evidence)
        broken += _told(look.__name__, rows)
    return Finding(invariant.number, invariant.sentence, tuple(broken))


async def check_rebuilds(admin_url: str) -> Finding:
    broken = []
    for make in SERVICES.values():
        service = make()
        for table in await verify(admin_url, service, lambda _applied: None):
            broken += [f"{service.name}.{table.table}, only live: {row}" for row in table.only_live]
            broken += [f"{service.name}.{table.table}, only rebuilt: {row}" for row in table.only_rebuilt]
    return Finding(27, "Every service rebuilt from the log has the same rows.", tuple(broken))


def _told(check_name: str, rows: Sequence[Record]) -> list[str]:
    what = check_name.replace("_", " ")
    told = [f"{what}: " + ", ".join(f"{name}={value}" for name, value in row.items()) for row in rows[:SHOWN]]
    return [*told, f"{what}: and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else told
