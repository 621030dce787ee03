"""What analysts run: `firingline replay` and `firingline rebuild`."""

import asyncio
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, Final, TextIO, TypeVar
from uuid import UUID

import asyncpg
import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bus.connection import Connection, close, connect
from bus.errors import Refusal, UnknownMessage
from bus.replay import Selection, as_json
from bus.replay import replay as messages
from handlers import rebuild as rebuilding
from handlers.wiring import SERVICES
from ops.settings import Settings

FLUSH_EVERY: Final = 1_000
T = TypeVar("T")


@click.command
@click.option("--correlation", type=click.UUID, help="Only the story that this command began (a booking's id, say).")
@click.option("--from-position", type=click.IntRange(min=0), default=0, show_default=True, help="First position.")
@click.option(
    "--to-position", type=click.IntRange(min=0), help="Last position; as far as the log is settled if absent."
)
@click.option("--stream", help="Only this stream, like booking:0192… or target:lane-1.")
@click.option("--name", "names", multiple=True, help="Only messages of this name; may be given several times.")
@click.option("--output", type=click.File("w"), default="-", help="Where to write; standard output if absent.")
def replay(
    correlation: UUID | None,
    from_position: int,
    to_position: int | None,
    stream: str | None,
    names: Sequence[str],
    output: TextIO,
) -> None:
    r"""Print what happened, in order, as newline-delimited JSON: one message a line.

    It reads the log with the analyst's role, in constant memory, and changes nothing. To go on where an earlier
    replay ended, give its last line's position plus one as --from-position; positions belong to the `epoch` that each
    line names.

    \b
    firingline replay --correlation 0192f0c1-…       one booking, from the wish to the last score
    firingline replay --name booking.booking-confirmed --from-position 1000
    """
    selection = Selection(from_position, to_position, correlation, stream, tuple(names))
    try:
        asyncio.run(_replay(Settings.from_environment().dsn("analyst"), selection, output))
    except BrokenPipeError:  # the reader has seen enough
        sys.stderr.close()


async def _replay(dsn: str, selection: Selection, output: TextIO) -> None:
    connection = await _connect(dsn)
    try:
        epoch = await connection.fetchval("SELECT max(epoch) FROM bus.epoch")
        written = 0
        async for envelope in messages(connection, selection):
            output.write(f"{as_json(envelope, epoch)}\n")
            written += 1
            if written % FLUSH_EVERY == 0:
                output.flush()
        output.flush()
    finally:
        await close(connection)


@click.command
@click.argument("service", type=click.Choice(list(SERVICES)))
@click.option("--verify", is_flag=True, help="Rebuild beside the live tables, compare, and change nothing.")
def rebuild(service: str, verify: bool) -> None:  # noqa: FBT001 - click passes flags so
    """Replay the log into a service's tables.

    With --verify the rebuilt tables are made in a schema of their own and compared with the live ones row by row, as
    of one moment, while the range goes on; the exit code is 1 if they differ. Without it the service's derived tables
    are emptied and filled anew in one transaction; its worker must be stopped. Personal data and secrets are not in
    the log: tables that hold them are left alone.
    """
    settings = Settings.from_environment()
    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task(f"{service}: reading the log")

        def tell(applied: int) -> None:
            bar.update(task, description=f"{service}: {applied:,} messages applied")

        if not verify:
            applied = asyncio.run(_away_is_refused(rebuilding.rebuild(settings.admin_url, SERVICES[service](), tell)))
            console.print(f"{service}: rebuilt from {applied:,} messages.")
            return
        comparisons = asyncio.run(_away_is_refused(rebuilding.verify(settings.admin_url, SERVICES[service](), tell)))
    for table in comparisons:
        click.echo(f"{service}.{table.table}: {table.rows:,} rows, {'the same' if table.same else 'DIFFERENT'}")
        for row in table.only_live:
            click.echo(f"  only live:    {row}")
        for row in table.only_rebuilt:
            click.echo(f"  only rebuilt: {row}")
    if not all(table.same for table in comparisons):
        raise Refusal(f"{service}'s tables are not what its events say.")


async def _away_is_refused(work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    except (OSError, asyncpg.PostgresConnectionError) as error:
        raise Refusal(f"The database cannot be reached: {error}.") from error
    except UnknownMessage as newer:
        raise Refusal(f"The log holds messages of a newer version ({newer}): start that version.") from newer


async def _connect(dsn: str) -> Connection:
    return await _away_is_refused(connect(dsn, "firingline-replay"))
