"""The shooters: each registers, looks for a time, and books."""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import Final

from bus.clock import now
from ops.api import ApiProblem, Json
from simulation.cast import Habit, Part
from simulation.client import LOOK_S, Client, NotPlayed
from simulation.lanes import SIGHTERS
from simulation.opening import RANGE, TYPE_OF_CLASS
from simulation.place import Meeting, Place
from simulation.slots import SLOT, Lookout, Wish, joined, offered, sold_out
from simulation.staff import new_password
from simulation.visits import Booked

TRIES: Final = 60
INSISTS: Final = 30
CONFLICT: Final = 409
IN_VAIN: Final = frozenset({Habit.EXPIRED, Habit.UNCONFIRMED})
TAKEN_MEANWHILE: Final = frozenset({"slot-taken", "no-weapon-free", "time-past"})
"""Rules that say that somebody was quicker: one looks again."""


class Shooter:
    """One shooter's day until it is clear whether and when he shoots; the lane calls him for the rest."""

    def __init__(self, part: Part, client: Client, place: Place) -> None:
        self.part = part
        self._client = client
        self._place = place
        self._happened = client.history.happened
        self._random = Random(part.seed)

    async def register(self) -> None:
        password, habit = new_password(), self.part.habit
        account = {"login": self.part.login, "password": password, "display_name": f"Shooter {self.part.number}"}
        try:
            await self._client.post("/v1/people", account)
        except ApiProblem as problem:
            if problem.status != CONFLICT:  # sent again after the connection broke, he has the account already
                raise
        await self._client.log_in(self.part.login, password)
        person = self._client.person
        assert person is not None
        await self._place.crew.license(
            person, self.part.category, expired=habit is Habit.EXPIRED, confirmed=habit is not Habit.UNCONFIRMED
        )
        self._client.twice = habit is Habit.RETRIES
        self._happened["registered"] += 1

    async def book(self) -> None:
        match self.part.habit:
            case Habit.EXPIRED | Habit.UNCONFIRMED:
                await self._ask_in_vain()
            case Habit.INSISTS:
                await self._insist()
                await self._book()
            case Habit.RACES:
                await self._book(await self._meet())
            case _:
                await self._book()

    async def _look(self) -> tuple[Json, Lookout]:
        days = sorted({max(now(), self._place.opens).date(), self._place.closes.date()})
        pages = [await self._client.get("/v1/slots", date=str(day), range=RANGE) for day in days]
        begun = {name: lane.begun for name, lane in self._place.lanes.items() if lane.begun is not None}
        return joined(pages), Lookout(TYPE_OF_CLASS, self.part.own_weapon, begun, now())

    async def _choose(self) -> Wish:
        """The earliest time that is offered; of several lanes any."""
        for _ in range(TRIES):
            wishes = offered(*await self._look())
            if self.part.habit is Habit.RACES:
                wishes = [wish for wish in wishes if wish.weapon_class == "air"]  # which both may shoot
            if wishes:
                return self._random.choice([wish for wish in wishes if wish.starts_at == wishes[0].starts_at])
            await asyncio.sleep(LOOK_S)
        raise NotPlayed(f"{self.part.login} was never offered a time.")

    async def _ask_in_vain(self) -> None:
        """Asks without a licence that counts: auth must say no."""
        lane = self._random.choice([lane for lane in self._place.lanes.values() if lane.weapon_class == "air"])
        starts_at = self._place.closes - self._random.randint(1, 3) * SLOT
        if await self._ask(Wish(lane.name, starts_at, starts_at + SLOT, lane.weapon_class, None)) is not None:
            raise NotPlayed(f"{self.part.login} {self.part.habit}, and was given a lane.")

    async def _insist(self) -> None:
        """Asks for a weapon that is all booked, if there comes such a time."""
        for _ in range(INSISTS):
            for wish in sold_out(*await self._look())[-1:]:
                async with self._place.lanes[wish.lane].claim(wish.starts_at):
                    answer = await self._ask(wish)
                    if answer is None:
                        return
                    # somebody has cancelled meanwhile, and there is one after all
                    await self._client.command("POST", f"/v1/bookings/{answer['command']}/cancel")
                    self._happened["cancelled"] += 1
            await asyncio.sleep(LOOK_S)

    async def _meet(self) -> Wish:
        """Two agree on a time, and each will ask for it at once."""
        assert self.part.rival is not None
        pair = frozenset({self.part.number, self.part.rival})
        meeting = self._place.meetings.setdefault(pair, Meeting())
        await meeting.both.wait()
        if self.part.number == min(pair):
            meeting.wish = await self._choose()
        await meeting.both.wait()
        assert meeting.wish is not None
        self._happened["raced"] += 1
        return meeting.wish

    async def _book(self, wish: Wish | None = None) -> None:
        """Asks until a time is his; `wish` comes first."""
        for _ in range(TRIES):
            chosen, wish = wish or await self._choose(), None
            lane = self._place.lanes[chosen.lane]
            async with lane.claim(chosen.starts_at) as claim:
                answer = await self._ask(chosen)
                if answer is not None:
                    terms: Json = answer["outcome"]["body"]
                    booked = Booked(self.part, self._client, self._place, self._random, lane, chosen.weapon_type, terms)
                    await booked.decide(claim)
                    return
        raise NotPlayed(f"{self.part.login} lost every race for a time.")

    async def _ask(self, wish: Wish) -> Json | None:
        """Books; the answer, or None if a rule was in the way."""
        key, body = self._client.new_key(), wish.body(self._place.shots + SIGHTERS)
        asked_s = time.monotonic()
        try:
            answer = await self._client.command("POST", "/v1/bookings", body, key=key)
        except ApiProblem as problem:
            if problem.rule is None or not (self.part.habit in IN_VAIN or problem.rule in TAKEN_MEANWHILE):
                raise
            return None
        finally:
            self._happened["wishes"] += 1
        self._happened["confirmed"] += 1
        if self._client.twice:
            await self._misuse(key, body)
        else:
            self._client.history.booking_ms.append((time.monotonic() - asked_s) * 1000)
        return answer

    async def _misuse(self, key: str, body: Json) -> None:
        """The same key for something else is refused, and nothing happens."""
        try:
            await self._client.post("/v1/bookings", {**body, "rounds": body["rounds"] + 1}, key=key)
        except ApiProblem as problem:
            if problem.status != 422:
                raise
            self._client.history.conflicts += 1
            return
        raise NotPlayed(f"The key {key} was taken for two different wishes.")
