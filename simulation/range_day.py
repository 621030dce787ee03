"""`firingline simulate`: a whole range day in two minutes, and then the question whether every promise held."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from contextlib import AsyncExitStack
from typing import Final

import click
from rich.console import Console

from bus.errors import Refusal
from bus.tasks import unless
from ops.process import run
from ops.settings import Settings
from simulation.day import Plan, play
from simulation.history import History
from simulation.invariants.checks import INVARIANTS, check_all
from simulation.invariants.evidence import Evidence, Finding
from simulation.opening import build_lanes
from simulation.own_range import OwnRange, own_range
from simulation.progress import Display
from simulation.quiet import until_quiet
from simulation.report import Report, counted, read_kept, show

WIDTH: Final = 120  # of the tables, where no terminal says how wide it is
GRACE_S: Final = 20.0  # to stop all that was started


@click.command
@click.option("--lanes", type=click.IntRange(1, 64), default=8, show_default=True, help="How many, with a target each.")
@click.option("--shooters", type=click.IntRange(1, 1000), default=40, show_default=True, help="How many come.")
@click.option("--shots", type=click.IntRange(1, 90), default=10, show_default=True, help="Match shots of a session.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="What is decided by chance; any if absent, and told.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output instead of tables.")
@click.option("--keep", is_flag=True, help="Leave the database and the logs behind.")
def simulate(
    lanes: int,
    shooters: int,
    shots: int,
    seed: int | None,
    as_json: bool,  # noqa: FBT001
    keep: bool,  # noqa: FBT001
) -> None:
    """Play a whole range day, over HTTP and real target sockets, and check that all is right.

    It starts a PostgreSQL, a gateway and five workers of its own; with DATABASE_URL it makes a database of its own on
    that server and drops it again. Shooters register, book, pay, cancel, stay away and shoot, some with an expired
    licence, some at a target that loses its connection; the staff does its part. Then the invariants of the range are
    checked by SQL of their own, and each service is rebuilt from the log and compared.

    The exit code is 0 if the day could be played and every invariant held. If not, everything is left behind to look
    at. Days of eight lanes and forty shooters take about two minutes, one of them waiting for those who do not come.
    """
    plan = Plan(lanes, shooters, shots, secrets.randbits(32) if seed is None else seed)
    settings = Settings.from_environment()
    reports: list[Report] = []

    async def main(stopping: asyncio.Event) -> None:
        report = await unless(stopping, play_and_check(settings, plan, Display(), keep=keep))
        if report is not None:
            reports.append(report)

    run(main, "simulate", grace_s=GRACE_S, log_level="warning")
    if not reports:
        raise Refusal(f"The day was broken off (seed {plan.seed}).")
    if as_json:
        click.echo(json.dumps(reports[0].as_json()))
    else:
        console = Console()
        show(reports[0], console if console.is_terminal else Console(width=WIDTH))
    if not reports[0].ok:
        raise Refusal(f"The day was not as it must be (seed {plan.seed}).")


async def play_and_check(settings: Settings, plan: Plan, display: Display, *, keep: bool = False) -> Report:
    """Plays a day on a range of its own, waits until all is quiet, and looks whether the promises held."""
    began_s = time.monotonic()
    display.tell(f"{plan.shooters} shooters on {plan.lanes} lanes, seed {plan.seed}.")
    history = History()
    async with own_range(settings, display.tell, keep=keep) as there, AsyncExitStack() as targets:
        targets.push(there.keep_after_a_fault)
        lanes = build_lanes(plan.lanes, history)
        for lane in lanes:
            await targets.enter_async_context(lane.target)
        troubles = await play(there, plan, lanes, history, display)
        display.tell("Waiting until all is quiet.")
        troubles += await until_quiet(there.admin_url, len(history.shots), all_over=not troubles)
        display.tell("Checking the invariants, and rebuilding every service from the log.")
        findings = await _checked(there, history, display)
        report = Report(
            seed=plan.seed,
            lanes=plan.lanes,
            shooters=plan.shooters,
            **counted(history),
            **await read_kept(there.admin_url, history),
            booking_p50_ms=history.percentile_ms(0.5),
            booking_p99_ms=history.percentile_ms(0.99),
            troubles=tuple(troubles),
            findings=findings,
            played_s=time.monotonic() - began_s,
        )
        there.keep = keep or not report.ok
    return report


async def _checked(there: OwnRange, history: History, display: Display) -> tuple[Finding, ...]:
    findings = []
    async with display.following(history, {"invariants": len(INVARIANTS) + 1}):
        async for finding in check_all(there.admin_url, Evidence(list(history.commands), history.shots)):
            findings.append(finding)
            history.happened["invariants"] += 1
    return tuple(findings)
