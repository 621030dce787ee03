"""Auth's tables of rules and of bookings that depend on them: read for a decision, written by applying an event."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

from bus.connection import Connection
from handlers.auth import store
from handlers.auth.commands import PublishRules, PutRulesInForce, RepublishEntitlements
from handlers.auth.events import LicenceValidated, RulesPublished, RulesTookEffect
from handlers.auth.in_force import rules_in_force
from handlers.auth.reactions import Check
from handlers.auth.rule_set import RuleSet
from handlers.auth.rulebook import TOLD_AT_ONCE, Booked, People, RuleBook
from handlers.auth.rules import Shooter


class AboutBooking(Protocol):
    """An event of booking's about one booking."""

    @property
    def booking(self) -> UUID: ...


class Terms(Protocol):
    """What a booking is about, as far as it is remembered here."""

    @property
    def person(self) -> UUID: ...

    @property
    def weapon_class(self) -> str: ...

    @property
    def starts_at(self) -> datetime: ...

    @property
    def ends_at(self) -> datetime: ...


class Held(AboutBooking, Protocol):
    """An event of booking's that tells a booking's terms."""

    @property
    def terms(self) -> Terms: ...


async def load_rule_book(connection: Connection, asked: PublishRules) -> RuleBook:
    latest = await connection.fetchval("SELECT max(version) FROM rule_set WHERE code = $1", asked.rule_set.code)
    return RuleBook(latest, await store.load_staff(connection))


async def is_published(connection: Connection, asked: PutRulesInForce) -> bool:
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM rule_set WHERE code = $1 AND version = $2)", asked.code, asked.rule_version
    )
    return found


async def load_people(connection: Connection, asked: RepublishEntitlements) -> People:
    rows = await connection.fetch(
        """
        SELECT person FROM person
        WHERE NOT erased AND ($1::uuid IS NULL OR person > $1)
        ORDER BY person
        LIMIT $2
        """,
        asked.after_person,
        TOLD_AT_ONCE,
    )
    files = [(row["person"], await store.hold_shooter(connection, row["person"])) for row in rows]
    return People(files, await rules_in_force(connection))


async def load_check(connection: Connection, held: Held) -> Check:
    shooter = await store.hold_shooter(connection, held.terms.person)
    rule_set = await rules_in_force(connection)
    if rule_set.supervisors:
        await _lock_rules(connection, rule_set)
    return Check(shooter, rule_set, await supervised_then(connection, held))


async def _lock_rules(connection: Connection, rule_set: RuleSet) -> None:
    """Lets one worker at a time count the places under supervision."""
    await connection.execute(
        "SELECT FROM rule_set WHERE code = $1 AND version = $2 FOR NO KEY UPDATE", rule_set.code, rule_set.version
    )


async def supervised_then(connection: Connection, held: Held) -> int:
    """How many others are booked under supervision at some moment of that time."""
    number: int = await connection.fetchval(
        """
        SELECT count(*) FROM known_booking
        WHERE supervised AND during && tstzrange($1, $2) AND booking <> $3
        """,
        held.terms.starts_at,
        held.terms.ends_at,
        held.booking,
    )
    return number


async def next_bookings(connection: Connection, starts_before: datetime, most: int) -> list[tuple[Booked, Shooter]]:
    """The bookings that begin next, with who is to shoot; at most so many."""
    rows = await connection.fetch(
        """
        SELECT booking, person, weapon_class, lower(during) AS starts_at, upper(during) AS ends_at
        FROM known_booking
        WHERE lower(during) > clock_timestamp() AND lower(during) < $1
        ORDER BY lower(during), booking
        LIMIT $2
        """,
        starts_before,
        most,
    )
    people: dict[UUID, Shooter] = {}
    for row in rows:
        if row["person"] not in people:
            people[row["person"]] = await store.hold_shooter(connection, row["person"])
    return [(Booked(**row), people[row["person"]]) for row in rows]


async def apply_rules_published(connection: Connection, event: RulesPublished) -> None:
    await connection.execute(
        "INSERT INTO rule_set (code, version, body, takes_effect_at) VALUES ($1, $2, $3, $4)",
        event.code,
        event.rule_version,
        event.rule_set.model_dump_json(),
        event.takes_effect_at,
    )


async def apply_rules_took_effect(connection: Connection, event: RulesTookEffect) -> None:
    await connection.execute(
        "UPDATE rule_set SET in_force_since = $3 WHERE code = $1 AND version = $2",
        event.code,
        event.rule_version,
        event.took_effect_at,
    )


async def apply_lane_held(connection: Connection, event: Held) -> None:
    terms = event.terms
    await connection.execute(
        """
        INSERT INTO known_booking (booking, person, weapon_class, during, supervised)
        VALUES ($1, $2, $3, tstzrange($4, $5), false)
        ON CONFLICT (booking) DO UPDATE
        SET person = excluded.person, weapon_class = excluded.weapon_class, during = excluded.during,
            supervised = excluded.supervised
        """,
        event.booking,
        terms.person,
        terms.weapon_class,
        terms.starts_at,
        terms.ends_at,
    )


async def apply_licence_validated(connection: Connection, event: LicenceValidated) -> None:
    await connection.execute(
        "UPDATE known_booking SET supervised = $2 WHERE booking = $1", event.booking, event.supervised
    )


async def apply_booking_over(connection: Connection, event: AboutBooking) -> None:
    await connection.execute("DELETE FROM known_booking WHERE booking = $1", event.booking)
