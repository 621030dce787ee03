"""Auth's tables that follow from its events: read for a decision, written by applying an event."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from bus.connection import Connection
from handlers.auth.commands import (
    AssignRoles,
    AttestAge,
    ConfirmLicence,
    DisablePerson,
    EnablePerson,
    ForeseeExpiry,
    RevokeDevice,
    RevokeLicence,
    SuspendLicence,
)
from handlers.auth.events import (
    AgeAttested,
    DeviceRegistered,
    DeviceRevoked,
    EntitlementsPublished,
    ExpiryForeseen,
    LicenceConfirmed,
    LicenceRecorded,
    LicenceRevoked,
    LicenceSuspended,
    PersonDisabled,
    PersonEnabled,
    PersonErased,
    PersonRegistered,
    Role,
    RolesAssigned,
    TokensRevoked,
)
from handlers.auth.in_force import rules_in_force
from handlers.auth.model import DeviceFile, LicenceFile, OwnFile, PersonUnknown, RoleBook, Standing
from handlers.auth.rules import Licence, LicenceState, Shooter


async def load_role_book(connection: Connection, asked: AssignRoles | DisablePerson | EnablePerson) -> RoleBook:
    return await role_book(connection, asked.person)


async def role_book(connection: Connection, person: UUID) -> RoleBook:
    staff = await lock_staff(connection, person)
    subject = await standing_of(connection, person)
    locked_at: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return RoleBook(subject, staff, locked_at)


async def load_licence_file(
    connection: Connection, asked: ConfirmLicence | SuspendLicence | RevokeLicence
) -> LicenceFile:
    staff = await load_staff(connection)
    age = await age_of(connection, asked.person)
    licences = await lock_licences(connection, asked.person)
    return LicenceFile(licences, staff, age, await rules_in_force(connection))


async def load_attestation(connection: Connection, asked: AttestAge) -> LicenceFile:
    staff = await load_staff(connection)
    age = await connection.fetchval("SELECT age FROM person WHERE person = $1 AND NOT erased FOR UPDATE", asked.person)
    if age is None:
        raise PersonUnknown
    return LicenceFile(await hold_licences(connection, asked.person), staff, age, await rules_in_force(connection))


async def load_own_file(connection: Connection, asked: ForeseeExpiry) -> OwnFile:
    return OwnFile(await hold_shooter(connection, asked.person), await rules_in_force(connection))


async def hold_shooter(connection: Connection, person: UUID) -> Shooter:
    age = await age_of(connection, person)  # the person's row first: so does whoever erases somebody
    return Shooter(await hold_licences(connection, person), age)


async def age_of(connection: Connection, person: UUID) -> int:
    """The age that was shown to the staff; it stays so until the transaction ends."""
    age: int | None = await connection.fetchval("SELECT age FROM person WHERE person = $1 FOR SHARE", person)
    return age or 0


async def load_device_file(connection: Connection, asked: RevokeDevice) -> DeviceFile:
    staff = await load_staff(connection)
    reports = await connection.fetchval("SELECT NOT revoked FROM device WHERE device = $1 FOR UPDATE", asked.device)
    return DeviceFile(reports, staff)


async def load_staff(connection: Connection) -> Mapping[UUID, frozenset[Role]]:
    rows = await connection.fetch(
        """
        SELECT person, roles FROM person
        WHERE roles && ARRAY['instructor', 'armourer', 'cashier', 'admin'] AND NOT disabled
        """
    )
    return {row["person"]: frozenset(row["roles"]) for row in rows}


async def lock_staff(connection: Connection, subject: UUID) -> Mapping[UUID, frozenset[Role]]:
    """Locks them and one person more in one order, so that two admins cannot dismiss each other at the same moment."""
    rows = await connection.fetch(
        """
        SELECT person, roles, disabled FROM person
        WHERE roles && ARRAY['instructor', 'armourer', 'cashier', 'admin'] OR person = $1
        ORDER BY person
        FOR UPDATE
        """,
        subject,
    )
    return {row["person"]: frozenset(row["roles"]) for row in rows if not row["disabled"]}


async def standing_of(connection: Connection, person: UUID) -> Standing | None:
    """What a person is at this moment; None for nobody."""
    row = await connection.fetchrow(
        "SELECT roles, disabled, tokens_since, logins_since FROM person WHERE person = $1 AND NOT erased", person
    )
    return None if row is None else _standing(row)


async def hold_standing(connection: Connection, person: UUID) -> Standing | None:
    """The same, and it stays so until the transaction ends: what is issued meanwhile is issued by it."""
    row = await connection.fetchrow(
        "SELECT roles, disabled, tokens_since, logins_since FROM person WHERE person = $1 AND NOT erased FOR SHARE",
        person,
    )
    return None if row is None else _standing(row)


async def lock_standing(connection: Connection, person: UUID) -> Standing | None:
    """The same for whoever changes it."""
    row = await connection.fetchrow(
        "SELECT roles, disabled, tokens_since, logins_since FROM person WHERE person = $1 AND NOT erased FOR UPDATE",
        person,
    )
    return None if row is None else _standing(row)


def _standing(row: Record) -> Standing:
    return Standing(frozenset(row["roles"]), row["disabled"], row["tokens_since"], row["logins_since"])


async def hold_licences(connection: Connection, person: UUID) -> tuple[Licence, ...]:
    """They stay what they are until the transaction ends: who takes one away says so after what it still allowed."""
    rows = await connection.fetch(
        """
        SELECT licence, category, valid_from, valid_until, state FROM licence
        WHERE person = $1
        ORDER BY licence
        FOR SHARE
        """,
        person,
    )
    return tuple(_licence(row) for row in rows)


async def lock_licences(connection: Connection, person: UUID) -> tuple[Licence, ...]:
    rows = await connection.fetch(
        """
        SELECT licence, category, valid_from, valid_until, state FROM licence
        WHERE person = $1
        ORDER BY licence
        FOR UPDATE
        """,
        person,
    )
    return tuple(_licence(row) for row in rows)


def _licence(row: Record) -> Licence:
    return Licence(
        licence=row["licence"],
        category=row["category"],
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        state=LicenceState(row["state"]),
    )


async def apply_person_registered(connection: Connection, event: PersonRegistered) -> None:
    await connection.execute(
        "INSERT INTO person (person, roles, disabled, erased, age) VALUES ($1, $2, false, false, 0)",
        event.person,
        list(event.roles),
    )


async def apply_roles_assigned(connection: Connection, event: RolesAssigned) -> None:
    await connection.execute("UPDATE person SET roles = $2 WHERE person = $1", event.person, list(event.roles))


async def apply_person_disabled(connection: Connection, event: PersonDisabled) -> None:
    await connection.execute("UPDATE person SET disabled = true WHERE person = $1", event.person)


async def apply_person_enabled(connection: Connection, event: PersonEnabled) -> None:
    await connection.execute("UPDATE person SET disabled = false WHERE person = $1", event.person)


async def apply_person_erased(connection: Connection, event: PersonErased) -> None:
    await connection.execute("UPDATE person SET roles = '{}', erased = true, age = 0 WHERE person = $1", event.person)
    await _forget_licences(connection, event.person)


async def _forget_licences(connection: Connection, person: UUID) -> None:
    await connection.execute("DELETE FROM licence WHERE person = $1", person)


async def apply_tokens_revoked(connection: Connection, event: TokensRevoked) -> None:
    """The latest moment stands, whatever the order in which clocks and locks came."""
    await connection.execute(
        """
        UPDATE person SET
            tokens_since = greatest(tokens_since, $2),
            logins_since = CASE WHEN $3 THEN greatest(logins_since, $2) ELSE logins_since END
        WHERE person = $1
        """,
        event.person,
        event.issued_before,
        event.logins,
    )


async def apply_device_registered(connection: Connection, event: DeviceRegistered) -> None:
    await connection.execute(
        """
        INSERT INTO device (device, lane, public_key, revoked) VALUES ($1, $2, $3, false)
        ON CONFLICT (device) DO UPDATE
        SET lane = excluded.lane, public_key = excluded.public_key, revoked = excluded.revoked
        """,
        event.device,
        event.lane,
        event.public_key,
    )


async def apply_device_revoked(connection: Connection, event: DeviceRevoked) -> None:
    await connection.execute("UPDATE device SET revoked = true WHERE device = $1", event.device)


async def apply_licence_recorded(connection: Connection, event: LicenceRecorded) -> None:
    await connection.execute(
        """
        INSERT INTO licence (licence, person, category, valid_from, valid_until, state)
        VALUES ($1, $2, $3, $4, $5, 'recorded')
        """,
        event.licence,
        event.person,
        event.category,
        event.valid_from,
        event.valid_until,
    )


async def apply_licence_confirmed(connection: Connection, event: LicenceConfirmed) -> None:
    await connection.execute("UPDATE licence SET state = 'confirmed', reason = NULL WHERE licence = $1", event.licence)


async def apply_licence_suspended(connection: Connection, event: LicenceSuspended) -> None:
    await connection.execute(
        "UPDATE licence SET state = 'suspended', reason = $2 WHERE licence = $1", event.licence, event.reason
    )


async def apply_licence_revoked(connection: Connection, event: LicenceRevoked) -> None:
    await connection.execute(
        "UPDATE licence SET state = 'revoked', reason = $2 WHERE licence = $1", event.licence, event.reason
    )


async def apply_entitlements_published(connection: Connection, event: EntitlementsPublished) -> None:
    await _forget_entitlements(connection, event.person)
    await _write_entitlements(connection, event)


async def _forget_entitlements(connection: Connection, person: UUID) -> None:
    await connection.execute("DELETE FROM entitlement WHERE person = $1", person)


async def _write_entitlements(connection: Connection, event: EntitlementsPublished) -> None:
    await connection.execute(
        """
        INSERT INTO entitlement (person, weapon_class, during, rule_set, rule_version, expiry_foreseen,
                                 supervised_at_most)
        SELECT $1, e.weapon_class, tstzrange(e.valid_from, e.valid_until), $5, $6, false, e.at_most
        FROM unnest($2::text[], $3::timestamptz[], $4::timestamptz[], $7::integer[])
            AS e (weapon_class, valid_from, valid_until, at_most)
        """,
        event.person,
        [one.weapon_class for one in event.entitlements],
        [one.valid_from for one in event.entitlements],
        [one.valid_until for one in event.entitlements],
        event.rule_set,
        event.rule_version,
        [one.supervised_at_most or 0 for one in event.entitlements],
    )


async def apply_age_attested(connection: Connection, event: AgeAttested) -> None:
    await connection.execute("UPDATE person SET age = $2 WHERE person = $1", event.person, event.at_least)


async def apply_expiry_foreseen(connection: Connection, event: ExpiryForeseen) -> None:
    await connection.execute(
        """
        UPDATE entitlement AS g SET expiry_foreseen = true
        FROM unnest($2::text[], $3::timestamptz[]) AS e (weapon_class, valid_until)
        WHERE g.person = $1 AND g.weapon_class = e.weapon_class AND upper(g.during) = e.valid_until
        """,
        event.person,
        [one.weapon_class for one in event.endings],
        [one.valid_until for one in event.endings],
    )
