"""`firingline retention`: how long the log is kept, and what dropping its oldest part would lose."""

import asyncio
from typing import Final, cast

import click

from bus import maintenance
from bus import retention as keeping
from bus.connection import Connection
from bus.errors import Refusal
from bus.identity import uuid7
from bus.message import Catalogue
from bus.retention import TOPICS, Needed, Span
from handlers.wiring import SERVICES
from ops.database import connected
from ops.settings import Settings

WHAT: Final = (*TOPICS, "accepted")
FOR_EVER: Final = "forever"


class Days(click.ParamType[int | None]):
    """A number of days, or for ever."""

    name = "days"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        text = str(value)
        if text == FOR_EVER:
            return None
        if not text.isdecimal() or not 1 <= int(text) <= 36_500:
            self.fail(f"it is a number of days from 1 to 36500, or {FOR_EVER}", param, ctx)
        return int(text)


@click.group
def retention() -> None:
    """Say how long the log is kept, see what dropping would lose, and have it dropped.

    The log has two topics: `domain`, all that was asked and that happened, and `telemetry`, the shots as targets told
    them. Each lies in partitions of some four million positions; a partition is dropped as a whole, when its last
    message is older than declared and nobody needs it: every service has passed it, and no parked stream or dead
    letter points into it. Nothing is declared for them at first: they are kept for ever. `accepted` are the
    idempotency keys of commands, kept for 90 days unless declared otherwise.

    The running range drops by itself what is declared, a few times an hour.
    """


@retention.command
def show() -> None:
    """Show what is declared, and what was dropped."""
    asyncio.run(_show())


@retention.command("set")
@click.argument("what", type=click.Choice(WHAT))
@click.argument("days", type=Days())
def set_(what: str, days: int | None) -> None:
    """Declare how many days something is kept: a number, or `forever`.

    See first what it would lose: `firingline retention preview`.
    """
    asyncio.run(_set(what, days))
    click.echo(f"{what}: kept {'for ever' if days is None else f'for {days} days'}.")


@retention.command
@click.option("--domain", type=click.IntRange(1, 36_500), help="As if domain messages were kept for so many days.")
@click.option("--telemetry", type=click.IntRange(1, 36_500), help="As if telemetry were kept for so many days.")
def preview(domain: int | None, telemetry: int | None) -> None:
    """Say what would be lost, and change nothing: by what is declared, or as if it were so many days."""
    asyncio.run(_preview({"domain": domain, "telemetry": telemetry}))


@retention.command
def apply() -> None:
    """Drop now what is declared and needed by nobody; the range may be at work."""
    asyncio.run(_apply())


async def _show() -> None:
    async with connected(_dsn()) as connection:
        declared = await keeping.declared(connection)
        for what in WHAT:
            click.echo(f"{what}: kept {f'for {declared[what]} days' if what in declared else 'for ever'}")
        for row in await connection.fetch(
            "SELECT topic, from_position, to_position, messages, at FROM bus.dropped ORDER BY topic, from_position"
        ):
            click.echo(
                f"dropped on {row['at']:%Y-%m-%d}: {row['topic']} {row['from_position']} to {row['to_position']}, "
                f"{row['messages']:,} messages"
            )


async def _set(what: str, days: int | None) -> None:
    async with connected(_dsn()) as connection:
        await connection.execute("SELECT bus.set_retention($1, $2)", what, days)


async def _preview(supposed: dict[str, int | None]) -> None:
    async with connected(_dsn()) as connection:
        declared = await keeping.declared(connection)
        needed = await keeping.needed_from(connection, tuple(SERVICES))
        for topic in TOPICS:
            days = supposed[topic] or declared.get(topic)
            if days is None:
                click.echo(f"{topic}: kept for ever")
                continue
            spans = await keeping.spans_older_than(connection, topic, days)
            if not spans:
                click.echo(f"{topic}: nothing is older than {days} days as a whole partition")
            for span in spans:
                _tell(span, needed)


def _tell(span: Span, needed: Needed | None) -> None:
    place = f"{span.topic} {span.from_position} to {span.to_position}"
    until = "empty" if span.last_at is None else f"{span.messages:,} messages up to {span.last_at:%Y-%m-%d}"
    if needed is not None and needed.position <= span.to_position:
        click.echo(f"{place}: {until}, STAYS: needed from position {needed.position} on, {needed.holder}")
        return
    click.echo(f"{place}: {until}, would be dropped")
    for name, number in sorted(span.names.items()):
        click.echo(f"  {number:,} {name}")
    lost = [
        name for name, make in SERVICES.items() if not span.names.keys().isdisjoint(Catalogue(make().applies).names)
    ]
    if lost:
        click.echo(f"  and no rebuild any more of {', '.join(lost)}")


async def _apply() -> None:
    async with connected(_dsn()) as connection, maintenance.alone(cast("Connection", connection), uuid7()) as mine:
        if not mine:
            raise Refusal("Somebody is at it just now: try again in a while.")
        for line in await maintenance.tidy(connection, tuple(SERVICES)):
            click.echo(line)


def _dsn() -> str:
    return Settings.from_environment().dsn("operator")
