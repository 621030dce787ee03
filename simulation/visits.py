"""What becomes of a booking: it is paid, cancelled, or left; or the shooter comes, and shoots."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from ops.api import Json
from simulation.cast import Habit, Part
from simulation.client import Client, heard_of
from simulation.lanes import SIGHTERS, Claim, Lane
from simulation.place import Place

NO_SHOW_WITHIN_S: Final = 240.0
SPARE_ROUNDS: Final = 5
METHODS: Final = ("cash", "card-terminal", "transfer")


@dataclass(frozen=True, slots=True)
class Booked:
    """A confirmed booking in its shooter's hands."""

    part: Part
    client: Client
    place: Place
    random: Random
    lane: Lane
    weapon_type: str | None
    terms: Json  # what the confirmation said

    @property
    def path(self) -> str:
        return f"/v1/bookings/{self.terms['booking']}"

    async def decide(self, claim: Claim) -> None:
        """Pay, cancel, or make sure of the lane's call."""
        match self.part.habit:
            case Habit.CANCELS | Habit.REFUNDED:
                await self._cancel()
            case Habit.NO_SHOW:
                claim.visit = self._stay_away
            case _:
                if not self.part.pays_afterwards:
                    await self._pay()
                claim.visit = self._shoot

    async def _cancel(self) -> None:
        paid = self.part.habit is Habit.REFUNDED
        if paid:
            await self._pay()
        await self.client.command("POST", f"{self.path}/cancel")
        await self.client.until(f"/v1/invoices/{self.terms['invoice']}", lambda told: told["state"] == "credited")
        if paid:
            await self.place.crew.refund(self.terms["invoice"])
        self.client.history.happened["cancelled"] += 1

    async def _pay(self) -> None:
        total: int = self.terms["total_minor"]
        parts = [total]
        if self.part.habit is Habit.IN_PARTS:
            first = self.random.randint(1, total - 2)
            second = self.random.randint(1, total - first - 1)
            parts = [first, second, total - first - second]
        for amount in parts:
            method = self.random.choice(METHODS)
            await self.place.crew.take_money(self.terms["invoice"], amount, self.terms["currency"], method)

    async def _stay_away(self) -> None:
        """The lane waits until it is released."""
        await self.client.until(self.path, lambda told: told["state"] == "no-show", patience_s=NO_SHOW_WITHIN_S)
        self.client.history.happened["no-shows"] += 1

    async def _shoot(self) -> None:
        """Checks in, takes the weapon, shoots, gives it back; the instructor closes the session."""
        crew, booking = self.place.crew, self.terms["booking"]
        await self.client.command("POST", f"{self.path}/check-in")
        planned = self.place.shots + SIGHTERS
        rounds = planned + self.random.randint(0, SPARE_ROUNDS)
        weapon = None
        if self.weapon_type is not None:
            weapon = await crew.hand_out(booking, self.weapon_type, rounds)
        await heard_of(lambda: self.client.command("POST", f"{self.path}/start"), "weapon-not-issued")
        breaks_off = self.random.randrange(1, planned) if self.part.habit is Habit.BREAKS_OFF else None
        await self.lane.shoot(self.place.shots, self.random, breaks_off=breaks_off)
        if breaks_off is None:
            await self._see_all(planned)
        if self.weapon_type is not None and weapon is not None:
            await crew.take_back(booking, self.weapon_type, weapon, rounds - planned)
        await heard_of(lambda: crew.instructor.command("POST", f"{self.path}/finish"), "weapon-still-out")
        await self._see_all(planned)  # also what the target repeats only after the finish
        if self.part.pays_afterwards:
            await self._pay()
        self.client.history.happened["sessions"] += 1

    async def _see_all(self, fired: int) -> None:
        """The shooter's display counts every shot."""

        def complete(told: Json) -> bool:
            hits = (told["group"] or {"shots": 0})["shots"]
            return bool(hits + told["sighters"] + told["misses"] >= fired)

        await self.client.until(f"/v1/results/{self.terms['booking']}", complete)
