"""`firingline pause`, `resume` and `pauses`: what a person stops for a while, and lets go on."""

import asyncio
from collections.abc import Callable
from typing import Final

import click

from bus import pauses
from bus.errors import Refusal
from bus.pauses import Kind
from handlers.wiring import SERVICES
from ops.database import connected
from ops.settings import Settings

UNSAID: Final = "not said"


def _naming(command: Callable[..., None]) -> Callable[..., None]:
    """Which service, and what of it."""
    for option in (
        click.option("--stream", help="Only this stream, like booking:0192…."),
        click.option("--handler", help="Only messages of this name, like payment.take-payment."),
        click.argument("service", type=click.Choice(list(SERVICES))),
    ):
        command = option(command)
    return command


@click.command
@_naming
@click.option("--reason", default=UNSAID, help="Why, for whoever looks.")
def pause(service: str, handler: str | None, stream: str | None, reason: str) -> None:
    """Pause a service, the messages of one name, or a stream, until it is resumed: restarts do not end it.

    A paused service does nothing at all. With --handler or --stream, what may not be attempted waits, with what comes
    after it in the same stream; everything else goes on. Waiting counts no attempt. It takes effect within a second.
    """
    kind, what = _what(service, handler, stream)
    asyncio.run(_pause(service, kind, what, reason))
    click.echo(f"{_told(service, kind, what)} is paused.")


@click.command
@_naming
def resume(service: str, handler: str | None, stream: str | None) -> None:
    """End a pause: what waited goes on within a second, each stream in order."""
    kind, what = _what(service, handler, stream)
    if not asyncio.run(_resume(service, kind, what)):
        raise Refusal(f"{_told(service, kind, what)} is not paused; `firingline pauses` lists what is.")
    click.echo(f"{_told(service, kind, what)} goes on.")


@click.command("pauses")
def list_pauses() -> None:
    """List what is paused by hand, and which circuits are not closed.

    A circuit opens when what a handler depends on keeps failing: its messages wait, untried, until one of them is let
    through as a probe and succeeds. That happens by itself.
    """
    lines = asyncio.run(_lines())
    click.echo("\n".join(lines or ["Nothing is paused, and every circuit is closed."]))


def _what(service: str, handler: str | None, stream: str | None) -> tuple[Kind, str]:
    if handler is not None and stream is not None:
        raise Refusal("Name a handler or a stream, not both.")
    if stream is not None:
        return "stream", stream
    if handler is None:
        return "consumer", ""
    if handler not in SERVICES[service]().catalogue.names:
        raise Refusal(f"{service} hears no {handler}.")
    return "handler", handler


def _told(service: str, kind: Kind, what: str) -> str:
    return service if kind == "consumer" else f"{service}'s {kind} {what}"


async def _pause(service: str, kind: Kind, what: str, reason: str) -> None:
    async with connected(Settings.from_environment().dsn(service)) as connection:
        await pauses.pause(connection, service, kind, what, reason)


async def _resume(service: str, kind: Kind, what: str) -> bool:
    async with connected(Settings.from_environment().dsn(service)) as connection:
        return await pauses.resume(connection, service, kind, what)


async def _lines() -> list[str]:
    async with connected(Settings.from_environment().dsn("operator")) as connection:
        lines = [
            f"{_told(service, one.kind, one.what)}: paused since {one.at:%Y-%m-%d %H:%M:%S}Z, {one.reason}"
            for service in SERVICES
            for one in await pauses.of(connection, service)
        ]
        circuits = await connection.fetch(
            "SELECT consumer, circuit, state, since, opened FROM bus.circuit WHERE state <> 'closed' ORDER BY 1, 2"
        )
    return lines + [
        f"{row['consumer']}'s circuit {row['circuit']}: {row['state']} since {row['since']:%Y-%m-%d %H:%M:%S}Z, "
        f"opened {row['opened']} times"
        for row in circuits
    ]
