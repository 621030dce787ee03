"""`firingline state`: a service's tables as they were at a moment, made from the log beside the live ones."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Final, TextIO

import click

from handlers.time_travel import Upto, chosen, past
from handlers.wiring import SERVICES
from ops.analyst import Moment, away_is_refused
from ops.settings import Settings

FORMS: Final = ("ndjson", "summary")


@click.command
@click.argument("services", nargs=-1, required=True, type=click.Choice(list(SERVICES)))
@click.option("--at", type=Moment(), help="The moment, like 2026-05-01T18:00:00+02:00; without an offset it is UTC.")
@click.option("--position", type=click.IntRange(min=0), help="Or the last position of the log that is to count.")
@click.option("--table", "tables", multiple=True, help="Only this table; may be given several times.")
@click.option("--format", "form", type=click.Choice(FORMS), default="ndjson", show_default=True)
@click.option("--output", type=click.File("w"), default="-", help="Where to write; standard output if absent.")
def state(
    services: Sequence[str],
    at: datetime | None,
    position: int | None,
    tables: Sequence[str],
    form: str,
    output: TextIO,
) -> None:
    r"""Print services' tables as they were at a moment: one JSON object a row.

    What the log says up to then is applied to empty tables that only this command sees and that go with it; the live
    tables are neither read nor changed, and the range goes on. It is the state by what had been written by then: a
    service that was behind may not have known all of it yet. Tables that are not made from the log (personal data,
    secrets, files) are not told.

    \b
    firingline state --at 2026-05-01T18:00 booking armory
    firingline state --at 2026-05-01T18:00 armory --table handover --format summary
    """
    if (at is None) == (position is None):
        raise click.UsageError("Say either --at or --position.")
    try:
        asyncio.run(away_is_refused(_print(services, Upto(at, position), tables, form, output)))
    except BrokenPipeError:  # the reader has seen enough
        sys.stderr.close()


async def _print(services: Sequence[str], upto: Upto, tables: Sequence[str], form: str, output: TextIO) -> None:
    dsn = Settings.from_environment().admin_url
    for name in services:
        async with past(dsn, SERVICES[name](), upto) as then:
            for table in chosen(then.tables, tables, name):
                if form == "summary":
                    output.write(f"{name}.{table}: {await then.count(table):,} rows\n")
                    continue
                async for row in then.rows(table):
                    output.write(f'{{"service": "{name}", "table": "{table}", "row": {row}}}\n')
    output.flush()
