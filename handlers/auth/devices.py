"""Targets: registered by staff for a lane, each with a secret of its own for which it gets short-lived tokens."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from asyncpg import Record

from bus.connection import Connection
from bus.errors import Rejected
from bus.identity import uuid7
from handlers.auth.desk import Caller, Desk, now
from handlers.auth.events import DeviceRegistered
from handlers.auth.issuing import device_token
from handlers.auth.model import MAY_REGISTER_DEVICES, must_be
from handlers.auth.vault import secret_hash

SECRET_BYTES: Final = 32

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A device's token and the lanes it is good for."""

    access_token: str
    lanes: list[str]


class DeviceRefused(Rejected):
    """No device of this name has this secret."""


async def register_device(desk: Desk, caller: Caller, device: str, lane: str, public_key: str | None = None) -> str:
    """Registers a target, or gives a registered one another lane; returns its secret, which is not kept.

    An earlier secret is worth nothing from now on. A target with a key pair must sign what it posts.
    """
    must_be(MAY_REGISTER_DEVICES, caller.roles)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    async with desk.transaction() as connection:
        await _keep_secret(connection, device, secret_hash(secret), await now(connection))
        registered = DeviceRegistered(device=device, lane=lane, public_key=public_key)
        await desk.outbox.say(connection, [registered], actor=caller.actor, correlation=uuid7())
    log.info("devices.registered", device=device, lane=lane, by=caller.actor)
    return secret


async def admit_device(desk: Desk, device: str, secret: str) -> Admitted:
    async with desk.transaction() as connection:
        row = await _find(connection, device)
        at = await now(connection)
    if row is None or not hmac.compare_digest(row["secret_hash"], secret_hash(secret)):
        log.warning("devices.refused", device=device)
        raise DeviceRefused
    lanes = [row["lane"]]
    return Admitted(device_token(desk.signer.key_at(at), device, lanes, at), lanes)


async def _keep_secret(connection: Connection, device: str, hashed: bytes, at: datetime) -> None:
    await connection.execute(
        """
        INSERT INTO device_secret (device, secret_hash, issued_at) VALUES ($1, $2, $3)
        ON CONFLICT (device) DO UPDATE SET secret_hash = excluded.secret_hash, issued_at = excluded.issued_at
        """,
        device,
        hashed,
        at,
    )


async def _find(connection: Connection, device: str) -> Record | None:
    return await connection.fetchrow(
        """
        SELECT d.lane, s.secret_hash FROM device AS d JOIN device_secret AS s ON s.device = d.device
        WHERE d.device = $1 AND NOT d.revoked
        """,
        device,
    )
