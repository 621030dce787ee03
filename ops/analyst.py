"""What analysts run: `firingline replay` and `firingline rebuild`."""

import asyncio
import csv
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO, TypeVar
from uuid import UUID

import asyncpg
import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bus.connection import Connection, close, connect
from bus.errors import Refusal, UnknownMessage
from bus.message import Envelope
from bus.replay import COLUMNS, Selection, as_csv, as_json, csv_line, dropped_upto
from bus.replay import replay as messages
from handlers import rebuild as rebuilding
from handlers.wiring import SERVICES
from ops.settings import Settings

FLUSH_EVERY: Final = 1_000
PARQUET: Final = "parquet"
LOOK_BACK_BYTES: Final = 65_536
T = TypeVar("T")


class Moment(click.ParamType[datetime]):
    """A date and time as ISO 8601 has it; without an offset it is UTC."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no date and time like 2026-05-01T18:00:00+02:00", param, ctx)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Form:
    """How a message becomes a line."""

    line: Callable[[Envelope, int], str]
    header: str | None
    place: Callable[[str], tuple[int, int]]  # the epoch and position that a line tells


def _place_in_json(line: str) -> tuple[int, int]:
    told = json.loads(line)
    return told["epoch"], told["position"]


def _place_in_csv(line: str) -> tuple[int, int]:
    [fields] = csv.reader([line])
    epoch, position = fields[:2]
    return int(epoch), int(position)


FORMS: Final = {
    "ndjson": Form(as_json, None, _place_in_json),
    "csv": Form(as_csv, csv_line(*COLUMNS), _place_in_csv),
}


@click.command
@click.option("--correlation", type=click.UUID, help="Only the story that this command began (a booking's id, say).")
@click.option("--from-position", type=click.IntRange(min=0), default=0, show_default=True, help="First position.")
@click.option(
    "--to-position", type=click.IntRange(min=0), help="Last position; as far as the log is settled if absent."
)
@click.option("--since", type=Moment(), help="Only what was written then or later, like 2026-05-01T18:00:00+02:00.")
@click.option("--until", type=Moment(), help="Only what was written before then.")
@click.option("--stream", help="Only this stream, like booking:0192… or target:lane-1.")
@click.option("--name", "names", multiple=True, help="Only messages of this name; may be given several times.")
@click.option("--format", "form", type=click.Choice([*FORMS, PARQUET]), default="ndjson", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Where to write; else standard output.")
@click.option("--resume", is_flag=True, help="Go on after the last whole line of --output.")
def replay(  # noqa: PLR0913 - one for each option
    correlation: UUID | None,
    from_position: int,
    to_position: int | None,
    since: datetime | None,
    until: datetime | None,
    stream: str | None,
    names: Sequence[str],
    form: str,
    output: Path | None,
    resume: bool,  # noqa: FBT001 - click passes flags so
) -> None:
    r"""Print what happened, in order: one message a line, as newline-delimited JSON or CSV.

    It reads the log with the analyst's role, on one connection, in constant memory, and changes nothing. With
    --resume, and the same other options, a replay that was broken off goes on where its file ends. Positions belong
    to the `epoch` that each line names: after a restore to an earlier time there is another, and a file of the one is
    not gone on with in the other.

    \b
    firingline replay --correlation 0192f0c1-…       one booking, from the wish to the last score
    firingline replay --since 2026-05-01 --until 2026-06-01 --format csv --output may.csv --resume
    firingline replay --format parquet --output log/     a folder a day, for DuckDB, polars and the like
    """
    if resume and output is None:
        raise Refusal("Say with --output which file is to be gone on with.")
    selection = Selection(from_position, to_position, correlation, stream, tuple(names), since, until)
    if form == PARQUET:
        if output is None:
            raise Refusal("Say with --output into which folder.")
        asyncio.run(_replay_as_parquet(Settings.from_environment().dsn("analyst"), selection, output, resume=resume))
        return
    try:
        asyncio.run(_replay(Settings.from_environment().dsn("analyst"), selection, FORMS[form], output, resume=resume))
    except BrokenPipeError:  # the reader has seen enough
        sys.stderr.close()


async def _replay(dsn: str, selection: Selection, form: Form, output: Path | None, *, resume: bool) -> None:
    connection = await _connect(dsn)
    try:
        epoch: int = await connection.fetchval("SELECT max(epoch) FROM bus.epoch")
        written = False
        if resume and output is not None:
            last = whole_last_line(output)
            written = last is not None
            if last is not None and last != form.header:
                selection = replace(selection, from_position=_next_after(last, form, epoch))
        elif (gone := await dropped_upto(connection)) >= selection.from_position:
            click.echo(f"Up to position {gone} not all is there any more: firingline retention show", err=True)
        with _opened(output, append=resume) as file:
            if form.header is not None and not written:
                file.write(f"{form.header}\n")
            async for number, envelope in _numbered(messages(connection, selection)):
                file.write(f"{form.line(envelope, epoch)}\n")
                if number % FLUSH_EVERY == 0:
                    file.flush()
            file.flush()
    finally:
        await close(connection)


async def _replay_as_parquet(dsn: str, selection: Selection, folder: Path, *, resume: bool) -> None:
    from ops.parquet import write_log  # noqa: PLC0415 - Arrow takes its time, and nobody else needs it

    connection = await _connect(dsn)
    try:
        epoch: int = await connection.fetchval("SELECT max(epoch) FROM bus.epoch")
        written = await write_log(connection, selection, folder, epoch, resume=resume)
    finally:
        await close(connection)
    click.echo(f"{written:,} messages written to {folder}", err=True)


async def _numbered(envelopes: AsyncIterator[Envelope]) -> AsyncIterator[tuple[int, Envelope]]:
    number = 0
    async for envelope in envelopes:
        number += 1
        yield number, envelope


@contextmanager
def _opened(output: Path | None, *, append: bool) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    try:
        with output.open("a" if append else "w", encoding="utf-8", newline="") as file:
            yield file
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise Refusal(f"{output} cannot be written: {error.strerror}.") from error


def whole_last_line(path: Path) -> str | None:
    """The last line of a file that is whole, without its end; what follows it is cut off. None if there is none."""
    if not path.exists():
        return None
    with path.open("rb+") as file:
        begins, tail = file.seek(0, os.SEEK_END), b""
        while begins > 0 and tail.count(b"\n") < 2:
            step = min(LOOK_BACK_BYTES, begins)
            begins = file.seek(begins - step)
            tail = file.read(step) + tail
        ends = tail.rfind(b"\n")
        file.truncate(begins + ends + 1)
    return None if ends < 0 else tail[tail.rfind(b"\n", 0, ends) + 1 : ends].decode()


def _next_after(line: str, form: Form, epoch: int) -> int:
    try:
        of, position = form.place(line)
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal("The file's last line is none of such a replay: it cannot be gone on with.") from error
    if of != epoch:
        raise Refusal(f"The file is of epoch {of}, and the log of {epoch}: what it holds may have been undone.")
    return position + 1


@click.command
@click.argument("service", type=click.Choice(list(SERVICES)))
@click.option("--verify", is_flag=True, help="Rebuild beside the live tables, compare, and change nothing.")
def rebuild(service: str, verify: bool) -> None:  # noqa: FBT001 - click passes flags so
    """Replay the log into a service's tables.

    The tables are made in a schema of their own, while the range goes on. With --verify they are compared with the
    live ones row by row, as of one moment; the exit code is 1 if they differ. Without it their rows take the place of
    the live ones: for as long as copying them takes, whoever asks that service waits. Personal data and secrets are
    not in the log: tables that hold them are left alone.
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
            applied = asyncio.run(away_is_refused(rebuilding.rebuild(settings.admin_url, SERVICES[service](), tell)))
            console.print(f"{service}: rebuilt from {applied:,} messages.")
            return
        comparisons = asyncio.run(away_is_refused(rebuilding.verify(settings.admin_url, SERVICES[service](), tell)))
    for table in comparisons:
        click.echo(f"{service}.{table.table}: {table.rows:,} rows, {'the same' if table.same else 'DIFFERENT'}")
        for row in table.only_live:
            click.echo(f"  only live:    {row}")
        for row in table.only_rebuilt:
            click.echo(f"  only rebuilt: {row}")
    if not all(table.same for table in comparisons):
        raise Refusal(f"{service}'s tables are not what its events say.")


async def away_is_refused(work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    except (OSError, asyncpg.PostgresConnectionError) as error:
        raise Refusal(f"The database cannot be reached: {error}.") from error
    except UnknownMessage as newer:
        raise Refusal(f"The log holds messages of a newer version ({newer}): start that version.") from newer


async def _connect(dsn: str) -> Connection:
    return await away_is_refused(connect(dsn, "firingline-replay"))
