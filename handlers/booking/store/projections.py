"""What other services' events write to booking's tables: the `known_…` ones alone."""

from __future__ import annotations

from uuid import UUID

from bus.connection import Connection
from handlers.armory.events import (
    HandoverCorrected,
    WeaponIssued,
    WeaponReserved,
    WeaponReturned,
    WeaponTypeAdded,
    WeaponTypeStocked,
)
from handlers.auth.events import (
    EntitlementsPublished,
    ExpiryForeseen,
    LicenceValidated,
    PersonRegistered,
    RolesAssigned,
)
from handlers.booking.model.states import STAFF
from handlers.payment.events import InvoiceSettled


async def roles_assigned(connection: Connection, event: PersonRegistered | RolesAssigned) -> None:
    roles = sorted(STAFF.intersection(event.roles))
    if roles:
        await put_staff(connection, event.person, roles)
    else:
        await drop_staff(connection, event.person)


async def put_staff(connection: Connection, person: UUID, roles: list[str]) -> None:
    await connection.execute(
        """
        INSERT INTO known_staff (person, roles) VALUES ($1, $2)
        ON CONFLICT (person) DO UPDATE SET roles = excluded.roles
        """,
        person,
        roles,
    )


async def drop_staff(connection: Connection, person: UUID) -> None:
    await connection.execute(
        """
        DELETE FROM known_staff WHERE person = $1
        """,
        person,
    )


async def entitlements_published(connection: Connection, event: EntitlementsPublished) -> None:
    await drop_entitlements(connection, event)
    await put_entitlements(connection, event)


async def drop_entitlements(connection: Connection, event: EntitlementsPublished) -> None:
    await connection.execute(
        """
        DELETE FROM known_entitlement WHERE person = $1
        """,
        event.person,
    )


async def put_entitlements(connection: Connection, event: EntitlementsPublished) -> None:
    """An entitlement to no time at all is none."""
    await connection.execute(
        """
        INSERT INTO known_entitlement (person, weapon_class, during, expiry_foreseen, supervised_at_most)
        SELECT DISTINCT $1::uuid, e.weapon_class, tstzrange(e.valid_from, e.valid_until), false, e.at_most
        FROM unnest($2::text[], $3::timestamptz[], $4::timestamptz[], $5::integer[])
            AS e (weapon_class, valid_from, valid_until, at_most)
        WHERE e.valid_from < e.valid_until
        """,
        event.person,
        [entitlement.weapon_class for entitlement in event.entitlements],
        [entitlement.valid_from for entitlement in event.entitlements],
        [entitlement.valid_until for entitlement in event.entitlements],
        [entitlement.supervised_at_most or 0 for entitlement in event.entitlements],
    )


async def expiry_foreseen(connection: Connection, event: ExpiryForeseen) -> None:
    await connection.execute(
        """
        UPDATE known_entitlement AS k SET expiry_foreseen = true
        FROM unnest($2::text[], $3::timestamptz[]) AS e (weapon_class, valid_until)
        WHERE k.person = $1 AND k.weapon_class = e.weapon_class AND upper(k.during) = e.valid_until
        """,
        event.person,
        [ending.weapon_class for ending in event.endings],
        [ending.valid_until for ending in event.endings],
    )


async def weapon_type_stocked(connection: Connection, event: WeaponTypeStocked) -> None:
    await connection.execute(
        """
        INSERT INTO known_weapon_type (weapon_type, weapon_class, title, units, away) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (weapon_type) DO UPDATE
        SET weapon_class = excluded.weapon_class, title = excluded.title, units = excluded.units, away = excluded.away
        """,
        event.weapon_type,
        event.weapon_class,
        event.title,
        event.units,
        [(one.starts_at, one.ends_at) for one in event.away],
    )


async def weapon_type_added(connection: Connection, event: WeaponTypeAdded) -> None:
    await connection.execute(
        """
        INSERT INTO known_calibre (weapon_type, calibre) VALUES ($1, $2)
        ON CONFLICT (weapon_type) DO UPDATE SET calibre = excluded.calibre
        """,
        event.weapon_type,
        event.calibre,
    )


async def licence_validated(connection: Connection, event: LicenceValidated) -> None:
    await put_agreement(connection, event.booking, "auth", supervised=event.supervised)


async def weapon_reserved(connection: Connection, event: WeaponReserved) -> None:
    await put_agreement(connection, event.booking, "armory")


async def put_agreement(connection: Connection, booking: UUID, service: str, *, supervised: bool = False) -> None:
    await connection.execute(
        """
        INSERT INTO known_agreement (booking, service, supervised) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
        """,
        booking,
        service,
        supervised,
    )


async def weapon_issued(connection: Connection, event: WeaponIssued) -> None:
    """Of a weapon that goes out again for the same booking, the first issue counts."""
    await connection.execute(
        """
        INSERT INTO known_custody (booking, weapon, issued_at) VALUES ($1, $2, $3)
        ON CONFLICT (booking, weapon) DO UPDATE
        SET issued_at = least(known_custody.issued_at, excluded.issued_at), returned_at = NULL
        """,
        event.booking,
        event.weapon,
        event.issued_at,
    )


async def weapon_returned(connection: Connection, event: WeaponReturned) -> None:
    await connection.execute(
        """
        UPDATE known_custody SET returned_at = $3 WHERE booking = $1 AND weapon = $2
        """,
        event.booking,
        event.weapon,
        event.returned_at,
    )


async def handover_corrected(connection: Connection, event: HandoverCorrected) -> None:
    """An issue that was none is over; after a return that was none the weapon is still out."""
    await connection.execute(
        """
        UPDATE known_custody SET returned_at = $3 WHERE booking = $1 AND weapon = $2
        """,
        event.booking,
        event.weapon,
        event.corrected_at if event.kind == "return" else None,
    )


async def invoice_settled(connection: Connection, event: InvoiceSettled) -> None:
    """The booking's own; a fee's says nothing of the booking."""
    if event.purpose != "booking":
        return
    await connection.execute(
        """
        INSERT INTO known_settlement (booking, settled_at) VALUES ($1, $2)
        ON CONFLICT (booking) DO UPDATE SET settled_at = excluded.settled_at
        """,
        event.booking,
        event.settled_at,
    )
