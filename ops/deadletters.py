"""`firingline deadletters`: what could not be handled, and what a person does about it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import Final

import click

from bus import dead_letters
from bus.connection import Connection
from bus.dead_letters import Action, Letter, Wanted
from bus.errors import Refusal
from ops.database import connected
from ops.services import SERVICES
from ops.settings import Settings

POSITIONS_SHOWN: Final = 8
Work = Callable[[Connection, str, Sequence[Letter]], Awaitable[list[int]]]
WORK: Final[dict[Action, Work]] = {"requeue": dead_letters.requeue, "discard": dead_letters.discard}
DONE: Final[dict[Action, str]] = {"requeue": "tried again", "discard": "given up"}


def _selecting(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which letters are meant."""
    for option in (
        click.option("--cause", help="Only those whose cause contains this, like ValueError."),
        click.option("--stream", help="Only those of this stream, like booking:0192…."),
        click.option("--position", "positions", multiple=True, type=click.IntRange(min=1), help="Only this position."),
        click.option("--service", "services", multiple=True, type=click.Choice(SERVICES), help="Only this service's."),
    ):
        command = option(command)
    return command


@click.group
def deadletters() -> None:
    """Look at messages that could not be handled, and try them again or give them up.

    A dead letter is a message that failed to its last attempt; its stream went on without it. A held stream waits for
    a person, with everything behind its head; a parked one is tried again by itself in a while. Each service's are
    read and moved as that service's role, so its credential must be readable here.
    """


@deadletters.command("list")
@_selecting
@click.option("--discarded", is_flag=True, help="Those given up for good, too.")
def list_(
    services: Sequence[str],
    positions: Sequence[int],
    stream: str | None,
    cause: str | None,
    discarded: bool,  # noqa: FBT001 - click passes flags so
) -> None:
    """List what is dead, put back, held or parked, grouped by cause."""
    found = asyncio.run(_find(services or SERVICES, Wanted(tuple(positions), stream, cause)))
    shown = [one for one in found if discarded or one.state != "discarded"]
    for (service, state, why), group in groupby(sorted(shown, key=_group), _group):
        letters = list(group)
        click.echo(f"{service}: {len(letters)} {state}, {why}")
        for letter in letters[:POSITIONS_SHOWN]:
            click.echo(f"  {_line(letter)}")
        if len(letters) > POSITIONS_SHOWN:
            click.echo(f"  and {len(letters) - POSITIONS_SHOWN} more, up to position {letters[-1].position}")
    if not shown:
        click.echo("Nothing is dead, held or parked.")


@deadletters.command
@click.argument("position", type=click.IntRange(min=1))
@click.option("--service", "services", multiple=True, type=click.Choice(SERVICES), help="Only this service's.")
def show(position: int, services: Sequence[str]) -> None:
    """Show one of them: the message as it stands in the log, and the error in full."""
    shown = asyncio.run(_show(services or SERVICES, position))
    if not shown:
        raise Refusal(f"Nothing at position {position} is dead, held or parked.")
    click.echo("\n\n".join(shown))


@deadletters.command
@_selecting
@click.option("--all", "everything", is_flag=True, help="All there are.")
@click.option("--dry-run", is_flag=True, help="Say what would be tried again, and change nothing.")
def requeue(
    services: Sequence[str],
    positions: Sequence[int],
    stream: str | None,
    cause: str | None,
    everything: bool,  # noqa: FBT001 - click passes flags so
    dry_run: bool,  # noqa: FBT001
) -> None:
    """Have them tried again: a dead letter once more, a held or parked stream from its head, all its attempts anew.

    It is safe while the services work, and takes about a second to be noticed. Mind the order: a dead letter's stream
    went on without it, so it now runs after later messages of its stream. A command whose sender was told that it
    failed is left alone, for a command has one outcome: who still wants it asks again.
    """
    wanted = _must_select(Wanted(tuple(positions), stream, cause), services, everything=everything)
    _move(services, wanted, "requeue", dry_run=dry_run)


@deadletters.command
@_selecting
@click.option("--all", "everything", is_flag=True, help="All there are.")
@click.option("--dry-run", is_flag=True, help="Say what would be given up, and change nothing.")
def discard(
    services: Sequence[str],
    positions: Sequence[int],
    stream: str | None,
    cause: str | None,
    everything: bool,  # noqa: FBT001 - click passes flags so
    dry_run: bool,  # noqa: FBT001
) -> None:
    """Give them up for good: a dead letter, or the head of a held stream, which then goes on.

    They are listed no more (but with `list --discarded`) and stay on record, so that a rebuild leaves them out too.
    The sender of a command is told that it failed.
    """
    wanted = _must_select(Wanted(tuple(positions), stream, cause), services, everything=everything)
    _move(services, wanted, "discard", dry_run=dry_run)


def _must_select(wanted: Wanted, services: Sequence[str], *, everything: bool) -> Wanted:
    if not (wanted or services or everything):
        raise Refusal("Say which: --position, --stream, --cause, --service or --all.")
    return wanted


def _move(services: Sequence[str], wanted: Wanted, action: Action, *, dry_run: bool) -> None:
    """Does an action on what is wanted, and says what came of each."""
    found = asyncio.run(_find(services or SERVICES, wanted))
    letters, left = dead_letters.movable(found, action, named=bool(wanted.positions))
    moved = {(one.consumer, one.position) for one in letters} if dry_run else asyncio.run(_work(letters, WORK[action]))
    for letter in letters:
        if (letter.consumer, letter.position) in moved:
            click.echo(_line(letter))
        else:
            left.append(letter)
    for letter in left:
        click.echo(f"left alone: {_line(letter)}")
    click.echo(f"{len(moved)} {'would be' if dry_run else 'will be'} {DONE[action]}; {len(left)} left alone.")


async def _find(services: Sequence[str], wanted: Wanted) -> list[Letter]:
    settings = Settings.from_environment()
    found: list[Letter] = []
    for service in services:
        async with connected(settings.dsn(service)) as connection:
            found += await dead_letters.find(connection, service, wanted)
    return found


async def _work(letters: Sequence[Letter], work: Work) -> set[tuple[str, int]]:
    settings = Settings.from_environment()
    moved: set[tuple[str, int]] = set()
    for service, group in groupby(letters, lambda one: one.consumer):
        async with connected(settings.dsn(service)) as connection, connection.transaction():
            moved |= {(service, position) for position in await work(connection, service, list(group))}
    return moved


async def _show(services: Sequence[str], position: int) -> list[str]:
    settings = Settings.from_environment()
    shown = []
    for service in services:
        async with connected(settings.dsn(service)) as connection:
            for letter in await dead_letters.find(connection, service, Wanted((position,))):
                message = await dead_letters.message_of(connection, letter)
                head = [f"{service}: {_line(letter)}", f"cause: {letter.cause}"]
                if message is not None:
                    head.append(f"message {message.id} of {message.at.isoformat()}, for {message.actor}, in the story ")
                    head[-1] += f"{message.correlation}:\n{message.body}"
                shown.append("\n".join((*head, letter.error.rstrip())))
    return shown


def _group(letter: Letter) -> tuple[str, str, str]:
    return letter.consumer, letter.state, letter.cause


def _line(letter: Letter) -> str:
    told = f", its sender was told: {letter.answered}" if letter.answered else ""
    behind = f", its stream waits up to {letter.last}" if letter.last > letter.position else ""
    when = "tried again at" if letter.state == "parked" else "since"
    since = "until that has ended" if letter.state == "blocked" else f"{when} {letter.at:%Y-%m-%d %H:%M:%S}Z"
    return (
        f"{letter.position} {letter.name} in {letter.stream}: {letter.state} after {letter.attempts} "
        f"{'attempt' if letter.attempts == 1 else 'attempts'}, {since}{behind}{told}"
    )
