"""A range day from the opening to the last visit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import aiohttp

from bus.clock import now
from ops.api import ApiProblem
from simulation.cast import Habit, Part, cast
from simulation.client import Client, NotPlayed
from simulation.history import History
from simulation.lanes import SIGHTERS, Lane
from simulation.opening import let_post, open_range
from simulation.own_range import OwnRange
from simulation.people import IN_VAIN, Shooter
from simulation.place import Place
from simulation.progress import Display
from simulation.staff import staff

AT_THE_DOOR: Final = 6  # so many register at a time: passwords are hashed slowly, on purpose
SPARE_MINUTES: Final = 10
GOES_AGAIN: Final = IN_VAIN | {Habit.CANCELS, Habit.REFUNDED}
TROUBLE: Final = (ApiProblem, NotPlayed, aiohttp.ClientError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Plan:
    """How large the day is; the rest follows from the seed."""

    lanes: int
    shooters: int
    shots: int
    seed: int


async def play(there: OwnRange, plan: Plan, lanes: Sequence[Lane], history: History, display: Display) -> list[str]:
    """Plays the day; returns why it ended early, if it did."""
    try:
        await _play(there, plan, lanes, history, display)
    except TROUBLE as trouble:
        return [_sentence(trouble)]
    except BaseExceptionGroup as group:
        troubles, rest = group.split(TROUBLE)
        if rest is not None:
            raise rest from None
        assert troubles is not None
        return [_sentence(trouble) for trouble in _leaves(troubles)]
    return []


async def _play(there: OwnRange, plan: Plan, lanes: Sequence[Lane], history: History, display: Display) -> None:
    async with AsyncExitStack() as stack:
        crew = await stack.enter_async_context(staff(there.address, there.bootstrap_secret, history))
        opens = now().replace(second=0, microsecond=0)
        closes = opens + timedelta(minutes=2 * (plan.shooters // plan.lanes + 1) + SPARE_MINUTES)
        place = Place(crew, {lane.name: lane for lane in lanes}, opens, closes, plan.shots)
        await open_range(crew, lanes, opens, closes)
        poster = await stack.enter_async_context(Client(there.address, history, lanes[-1].name))
        await let_post(crew, lanes[-1], poster)
        shooters = []
        for part in cast(plan.shooters, plan.lanes, plan.seed):
            app = await stack.enter_async_context(Client(there.address, history, f"shooter-{part.number}"))
            shooters.append(Shooter(part, app, place))
        totals = _totals([shooter.part for shooter in shooters], plan)
        display.tell("The range is open.")
        if "no-shows" in totals:
            display.tell("Some will not come: their lanes wait for them until a minute after their time has begun.")
        async with display.following(history, totals):
            await _all_day(lanes, shooters)


async def _all_day(lanes: Sequence[Lane], shooters: Sequence[Shooter]) -> None:
    """Shooters come while others shoot; whoever will stay away books first, since that takes longest."""
    async with asyncio.TaskGroup() as visits:
        for lane in lanes:
            visits.create_task(lane.run())
        for stays_away in (True, False):
            await _arrive([one for one in shooters if (one.part.habit is Habit.NO_SHOW) is stays_away])
        for lane in lanes:
            await lane.close()


async def _arrive(shooters: Sequence[Shooter]) -> None:
    door = asyncio.Semaphore(AT_THE_DOOR)

    async def come(shooter: Shooter) -> None:
        async with door:
            await shooter.register()
        await shooter.book()

    async with asyncio.TaskGroup() as arriving:
        for shooter in shooters:
            arriving.create_task(come(shooter))


def _totals(parts: Sequence[Part], plan: Plan) -> dict[str, int]:
    no_shows = sum(part.habit is Habit.NO_SHOW for part in parts)
    sessions = sum(part.habit not in GOES_AGAIN for part in parts) - no_shows
    totals = {
        "registered": len(parts),
        "sessions": sessions,
        "no-shows": no_shows,
        "shots": sessions * (plan.shots + SIGHTERS),
    }
    return {what: total for what, total in totals.items() if total}


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _leaves(one)
        else:
            yield one


def _sentence(trouble: BaseException) -> str:
    return f"{type(trouble).__name__}: {trouble}"
