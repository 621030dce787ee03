"""`firingline bench`: what Firingline does a second, and how soon, each figure beside its baseline and its limit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.benches import BENCHES, reports_of
from bench.figures import Bound, Size, Tell
from ops.log import configure
from ops.process import new_event_loop
from ops.settings import Settings

USUAL: Final = Size()
NAMES: Final = "\b\n" + "\n".join(f"{name:<12}{row.what}" for name, row in BENCHES.items())


@click.command(epilog=NAMES)
@click.argument("names", metavar="[NAME]…", nargs=-1, type=click.Choice(list(BENCHES)))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of a table.")
@click.option(
    "--rounds", type=click.IntRange(1, 100), default=USUAL.rounds, show_default=True, help="The median of so many."
)
@click.option(
    "--seconds", type=click.FloatRange(0.01, 600), default=USUAL.seconds, show_default=True, help="Of each stretch."
)
@click.option(
    "--events", type=click.IntRange(1_000), default=USUAL.events, show_default=True, help="Which `consume` reads."
)
@click.option(
    "--grown", type=click.IntRange(1_000), default=USUAL.grown, show_default=True, help="Events in `growth`'s long log."
)
@click.option(
    "--commit-ms",
    type=click.FloatRange(0, 100),
    default=0.0,
    show_default=True,
    help="What each commit waits before it is flushed, as on a slower disk; not with DATABASE_URL.",
)
def bench(
    names: Sequence[str],
    as_json: bool,  # noqa: FBT001 - so click passes flags
    rounds: int,
    seconds: float,
    events: int,
    grown: int,
    commit_ms: float,
) -> None:
    """Measure what Firingline does a second, and how soon, each figure beside a baseline of the same run.

    Without a NAME everything is measured, in some twenty minutes; docs/performance.md says more of each. A PostgreSQL
    of its own is started over a folder on disk and removed afterwards, unless DATABASE_URL names a server: there,
    databases called firingline_bench_… are made and dropped.

    Run it on a machine that does nothing else, and mistrust a figure whose rounds are far apart.
    """
    size = Size(rounds=rounds, seconds=seconds, events=events, grown=grown)
    configure("bench", "error")
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_run(names or list(BENCHES), size, commit_ms, as_json=as_json))


async def _run(names: Sequence[str], size: Size, commit_ms: float, *, as_json: bool) -> None:
    reports = []
    with _progress() as tell:
        async for report in reports_of(names, size, Settings.from_environment(), tell, commit_ms=commit_ms):
            if as_json:
                click.echo(json.dumps(report))
            reports.append(report)
    if not as_json:
        _show(reports)


@contextmanager
def _progress() -> Iterator[Tell]:
    """A bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting PostgreSQL", total=None)

        def tell(what: str, done: int, of: int) -> None:
            bar.update(task, description=what, completed=done, total=of)

        yield tell


def _show(reports: Sequence[dict[str, Any]]) -> None:
    table = Table(title="What was measured, the median of the rounds")
    for heading in ("bench", "value", "baseline", "ratio", "asked", ""):
        table.add_column(heading, justify="right" if heading in {"value", "baseline", "ratio"} else "left")
    for report in reports:
        unit = report["unit"]
        table.add_row(
            report["bench"],
            f"{report['value']:,} {unit}",
            f"{report['baseline_value']:,} {unit}",
            f"{report['ratio']:.2f}",
            str(Bound(**report["asked"])),
            _missed(report),
        )
        for name, seen in report["beside"].items():
            if "skipped" not in seen:
                told = f"{seen['value']:,} {unit}", f"{seen['ratio']:.2f}", str(Bound(**seen["asked"])), _missed(seen)
                table.add_row(f"  {_titled(name, seen)}", "", *told)
    console = Console()
    console.print(table)
    for name, seen in (beside for report in reports for beside in report["beside"].items()):
        if "skipped" in seen:
            console.print(f"[yellow]{_titled(name, seen)} was not measured[/yellow]: {seen['skipped']}")
    for report in reports:
        console.print(f"[bold]{report['bench']}[/bold]: {report['what']}; baseline: {report['baseline']}.")
    seen_on = reports[0]["machine"]
    console.print(", ".join(f"{name.replace('_', ' ')} {told}" for name, told in seen_on.items()), style="dim")


def _missed(report: dict[str, Any]) -> str:
    return "[red]missed[/red]" if report["met"] is False else ""


def _titled(name: str, seen: dict[str, Any]) -> str:
    return name if seen["version"] is None else f"{name} {seen['version']}"
