"""Slows down those who guess passwords: by account, by address, and by both together; it locks nobody out.

Each try is counted before the password is looked at, and taken back when it was right: a hundred guesses sent at
once count as a hundred. Where a login worked before, it goes on working while others guess from elsewhere.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from bus.connection import Connection
from bus.errors import Rejected
from handlers.auth.desk import now
from handlers.auth.vault import Vault

FORGOTTEN_AFTER: Final = timedelta(hours=1)
LONGEST_DOUBLING: Final = 20


@dataclass(frozen=True, slots=True)
class Limit:
    """How many failures cost nothing; each further one doubles the pause, from a second up to the longest."""

    free: int
    longest_s: int

    def pause(self, failures: int) -> timedelta:
        over = failures - self.free
        return timedelta(seconds=min(2 ** min(over - 1, LONGEST_DOUBLING), self.longest_s) if over > 0 else 0)


BOTH: Final = Limit(free=5, longest_s=15 * 60)
ADDRESS: Final = Limit(free=200, longest_s=60)  # a whole club may stand behind one address
ACCOUNT: Final = Limit(free=50, longest_s=60)


class TooManyLogins(Rejected):
    """Too many logins failed; try again in {retry_after_s} seconds."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Under which keyed hashes a try is counted."""

    both: bytes
    address: bytes
    account: bytes

    @property
    def limits(self) -> Mapping[bytes, Limit]:
        return {self.both: BOTH, self.address: ADDRESS, self.account: ACCOUNT}


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is remembered under one key."""

    failures: int
    next_at: datetime
    last_at: datetime
    succeeded_at: datetime | None

    def failures_of_late(self, at: datetime) -> int:
        return self.failures if at - self.last_at < FORGOTTEN_AFTER else 0


def keys_of(vault: Vault, login: str, address: str) -> Keys:
    network = _network(address)
    return Keys(
        both=vault.fingerprint("attempt", "both", login, network),
        address=vault.fingerprint("attempt", "address", network),
        account=vault.fingerprint("attempt", "account", login),
    )


def keys_of_own(vault: Vault, person: UUID) -> Keys:
    """For tries of somebody who is logged in: they are counted for the person alone."""
    return Keys(
        both=vault.fingerprint("attempt", "own", str(person)),
        address=vault.fingerprint("attempt", "own", "any", str(person)),
        account=vault.fingerprint("attempt", "own", "all", str(person)),
    )


async def charge(connection: Connection, keys: Keys) -> None:
    """Counts a try as failed until it is forgiven; raises TooManyLogins, counting nothing, before its time."""
    limits = keys.limits
    await _begin(connection, sorted(limits))
    attempts = await _lock(connection, sorted(limits))
    at = await now(connection)
    known_here = attempts[keys.both].succeeded_at is not None
    heeded = [one for key, one in attempts.items() if key != keys.account or not known_here]
    wait = max(one.next_at for one in heeded) - at
    if wait > timedelta():
        raise TooManyLogins(retry_after_s=math.ceil(wait.total_seconds()))
    failures = {key: one.failures_of_late(at) + 1 for key, one in attempts.items()}
    await _count(
        connection, list(failures), list(failures.values()), [at + limits[k].pause(n) for k, n in failures.items()], at
    )


async def forgive(connection: Connection, keys: Keys, at: datetime) -> None:
    """Takes a try back that was right, and remembers that this account is at home at this address."""
    await connection.execute(
        """
        WITH locked AS (
            SELECT key FROM login_attempt WHERE key = ANY ($1) ORDER BY key FOR UPDATE
        )
        UPDATE login_attempt AS a SET
            failures = CASE WHEN a.key = $2 THEN 0 ELSE greatest(a.failures - 1, 0) END,
            next_at = CASE WHEN a.key = $2 THEN $3 ELSE a.next_at END,
            succeeded_at = CASE WHEN a.key = $2 THEN $3 ELSE a.succeeded_at END
        FROM locked WHERE a.key = locked.key
        """,
        sorted(keys.limits),
        keys.both,
        at,
    )


async def forget_old(connection: Connection) -> None:
    await connection.execute(
        """
        DELETE FROM login_attempt
        WHERE last_at < clock_timestamp() - CASE WHEN succeeded_at IS NULL
            THEN interval '1 day' ELSE interval '90 days' END
        """
    )


def _network(address: str) -> str:
    """The address itself, or for IPv6 the network that one household has."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), 64), strict=False))
    return str(parsed)


async def _begin(connection: Connection, keys: Sequence[bytes]) -> None:
    await connection.execute(
        """
        INSERT INTO login_attempt (key, failures, next_at, last_at)
        SELECT k, 0, clock_timestamp(), clock_timestamp() FROM unnest($1::bytea[]) AS k ORDER BY k
        ON CONFLICT DO NOTHING
        """,
        keys,
    )


async def _lock(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, Attempt]:
    rows = await connection.fetch(
        """
        SELECT key, failures, next_at, last_at, succeeded_at FROM login_attempt
        WHERE key = ANY ($1)
        ORDER BY key
        FOR UPDATE
        """,
        keys,
    )
    return {row["key"]: Attempt(row["failures"], row["next_at"], row["last_at"], row["succeeded_at"]) for row in rows}


async def _count(
    connection: Connection, keys: Sequence[bytes], failures: Sequence[int], next_at: Sequence[datetime], at: datetime
) -> None:
    await connection.execute(
        """
        UPDATE login_attempt AS a SET failures = c.failures, next_at = c.next_at, last_at = $4
        FROM unnest($1::bytea[], $2::integer[], $3::timestamptz[]) AS c (key, failures, next_at)
        WHERE a.key = c.key
        """,
        keys,
        failures,
        next_at,
        at,
    )
