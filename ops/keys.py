"""Auth's signing keys, looked at and changed by whoever keeps the range."""

import asyncio
from datetime import datetime

import click

from handlers.auth.signing import KNOWN_BEFORE_USE, change_key
from handlers.auth.vault import open_vault
from handlers.auth.views import public_keys
from ops.database import connected
from ops.settings import Settings
from ops.worker import MASTER_KEY_FILE


@click.group
def keys() -> None:
    """List or change the keys with which auth signs tokens.

    Old keys stay, so that what they signed can be verified for ever; only one at a time signs.
    """


@keys.command("list")
def list_() -> None:
    """List every key that signs, signed or will sign, the newest last."""
    for name, since, until in asyncio.run(_listed(Settings.from_environment())):
        click.echo(f"{name}  signs from {since:%Y-%m-%d %H:%M:%S} UTC  until {_moment(until)}")


@keys.command
def change() -> None:
    """Make a new key, which everybody can read at once and which signs ten minutes later.

    Nothing stops meanwhile, and no token becomes invalid. Change the key every few months, and at once when a copy of
    the database and the master key may have fallen into other hands.
    """
    kid = asyncio.run(_changed(Settings.from_environment()))
    minutes = int(KNOWN_BEFORE_USE.total_seconds() // 60)
    click.echo(f"{kid} signs in {minutes} minutes; the key before it stays to verify what it signed.")


async def _listed(settings: Settings) -> list[tuple[str, datetime, datetime | None]]:
    async with connected(settings.dsn("auth")) as connection:
        return [(key.kid, key.not_before, key.retired_at) for key in await public_keys(connection)]


async def _changed(settings: Settings) -> str:
    vault = open_vault(settings.home / "credentials" / MASTER_KEY_FILE, may_make=False)
    async with connected(settings.dsn("auth")) as connection:
        return await change_key(connection, vault)


def _moment(moment: datetime | None) -> str:
    return "further notice" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"
