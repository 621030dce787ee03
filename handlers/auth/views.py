"""What others may read of auth: who may do and shoot what, and the keys that verify tokens; never who anybody is."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from bus.connection import Connection
from bus.tokens import PublicKey
from handlers.auth.events import Role
from handlers.auth.rule_set import RuleSet
from handlers.auth.rule_sets import BUILT_IN, GENERIC


class LicenceView(BaseModel):
    """A licence: it counts when it is confirmed, from `valid_from` until just before `valid_until`."""

    licence: UUID
    category: str
    valid_from: datetime
    valid_until: datetime
    state: Literal["recorded", "confirmed", "suspended", "revoked"]
    reason: str | None = Field(description="why it was suspended or revoked")


class EntitlementView(BaseModel):
    """A weapon class that a person may shoot within a time, by which rules."""

    weapon_class: str
    valid_from: datetime
    valid_until: datetime
    rule_set: str
    rule_version: int
    supervised_at_most: int = Field(description="under supervision, with so many at a time; 0 without")
    expiry_foreseen: bool = Field(description="it ends within 30 days, and the person was told")


class PublishedRules(BaseModel):
    """A version of the rules: when it takes effect, and since when it has been in force."""

    rule_set: RuleSet
    takes_effect_at: datetime
    in_force_since: datetime | None


class RulesView(BaseModel):
    """The rules in force, all that were published, the latest first, and those to start from."""

    in_force: RuleSet
    published: list[PublishedRules]
    built_in: list[RuleSet]


class DeviceView(BaseModel):
    """A target and the lane it reports for."""

    device: str
    lane: str
    public_key: str | None


async def roles(connection: Connection, person: UUID) -> frozenset[Role]:
    """What a person may be at the range at this moment; nobody is nothing."""
    found = await connection.fetchval("SELECT roles FROM auth.roles WHERE person = $1", person)
    return frozenset(found or ())


async def revocations(connection: Connection) -> dict[UUID, datetime]:
    """Since when access tokens must be to count, for whom this changed while tokens of before may still live."""
    rows = await connection.fetch(
        """
        SELECT person, tokens_since FROM auth.revocations
        WHERE tokens_since > clock_timestamp() - interval '10 minutes'
        """
    )
    return {row["person"]: row["tokens_since"] for row in rows}


async def licences(connection: Connection, person: UUID) -> list[LicenceView]:
    rows = await connection.fetch(
        """
        SELECT licence, category, valid_from, valid_until, state, reason FROM auth.licences
        WHERE person = $1
        ORDER BY valid_from, licence
        """,
        person,
    )
    return [LicenceView(**row) for row in rows]


async def entitlements(connection: Connection, person: UUID) -> list[EntitlementView]:
    rows = await connection.fetch(
        """
        SELECT weapon_class, valid_from, valid_until, rule_set, rule_version, supervised_at_most, expiry_foreseen
        FROM auth.entitlements
        WHERE person = $1
        ORDER BY weapon_class, valid_from
        """,
        person,
    )
    return [EntitlementView(**row) for row in rows]


async def devices(connection: Connection, lane: str) -> list[DeviceView]:
    rows = await connection.fetch(
        "SELECT device, lane, public_key FROM auth.devices WHERE lane = $1 ORDER BY device", lane
    )
    return [DeviceView(**row) for row in rows]


async def device(connection: Connection, name: str) -> DeviceView | None:
    """A target that may report at this moment."""
    row = await connection.fetchrow("SELECT device, lane, public_key FROM auth.devices WHERE device = $1", name)
    return None if row is None else DeviceView(**row)


async def rules(connection: Connection) -> RulesView:
    rows = await connection.fetch(
        """
        SELECT body, takes_effect_at, in_force_since FROM auth.rule_sets
        ORDER BY takes_effect_at DESC, version DESC
        LIMIT 100
        """
    )
    published = [
        PublishedRules(
            rule_set=RuleSet.model_validate_json(row["body"]),
            takes_effect_at=row["takes_effect_at"],
            in_force_since=row["in_force_since"],
        )
        for row in rows
    ]
    in_force = max(
        (one for one in published if one.in_force_since),
        key=lambda one: (one.in_force_since, one.rule_set.version),
        default=None,
    )
    return RulesView(
        in_force=GENERIC if in_force is None else in_force.rule_set, published=published, built_in=list(BUILT_IN)
    )


async def public_keys(connection: Connection) -> list[PublicKey]:
    """Every key that ever signed a token, for bus.tokens.Verifier."""
    rows = await connection.fetch(
        "SELECT kid, public_key, not_before, retired_at FROM auth.public_keys ORDER BY not_before, kid"
    )
    return [PublicKey.from_raw(*row) for row in rows]
