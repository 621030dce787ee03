"""Who comes on a range day and what each of them is like: chosen from the seed alone; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final, NamedTuple


class Habit(StrEnum):
    """What is special about a shooter."""

    RACES = "races another for the same slot"
    EXPIRED = "has a licence that expired"
    CANCELS = "cancels before paying"
    IN_PARTS = "pays in parts"
    RETRIES = "sends every command twice"
    REFUNDED = "cancels after paying"
    BREAKS_OFF = "shoots at a target that loses its connection"
    UNCONFIRMED = "has a licence that nobody confirmed"
    NO_SHOW = "does not come"
    INSISTS = "asks for a weapon that is not left"
    NONE = "has nothing special"


class Share(NamedTuple):
    """One in so many shooters has this habit, and so many at least if there are shooters enough."""

    habit: Habit
    one_in: int
    least: int
    together: int = 1


# A day of few shooters has the first of these. Who does not come costs a minute, so only larger days have that.
SHARES: Final = (
    Share(Habit.RACES, 20, 1, together=2),
    Share(Habit.BREAKS_OFF, 8, 1),
    Share(Habit.EXPIRED, 12, 1),
    Share(Habit.CANCELS, 20, 1),
    Share(Habit.RETRIES, 10, 1),
    Share(Habit.IN_PARTS, 10, 1),
    Share(Habit.REFUNDED, 20, 1),
    Share(Habit.UNCONFIRMED, 20, 0),
    Share(Habit.NO_SHOW, 20, 0),
    Share(Habit.INSISTS, 20, 0),
)
SMALLBORE: Final = 0.3  # of the shooters have a licence for more than air weapons
OWN_WEAPON: Final = 0.2
PAYS_AFTERWARDS: Final = 0.4


@dataclass(frozen=True, slots=True)
class Part:
    """One shooter: everything that is decided about him before the day begins."""

    number: int
    habit: Habit
    rival: int | None  # whom he races; both name each other
    category: str
    own_weapon: bool
    pays_afterwards: bool
    seed: int  # of his own choices

    @property
    def login(self) -> str:
        return f"shooter-{self.number:03}@simulation.example"


def cast(shooters: int, lanes: int, seed: int) -> list[Part]:
    """All shooters in the order in which they come; who will not be seen again books first."""
    random = Random(seed)
    habits = list(_deal(shooters, lanes))
    order = list(range(shooters))
    random.shuffle(order)
    rivals = _rivals(habits)
    parts = [
        Part(
            number=order[i] + 1,
            habit=habit,
            rival=None if i not in rivals else order[rivals[i]] + 1,
            category="smallbore" if random.random() < SMALLBORE else "pneumatic",
            own_weapon=random.random() < OWN_WEAPON and habit is not Habit.INSISTS,
            pays_afterwards=random.random() < PAYS_AFTERWARDS and habit is not Habit.REFUNDED,
            seed=random.getrandbits(32),
        )
        for i, habit in enumerate(habits)
    ]
    return sorted(parts, key=lambda part: (part.habit is not Habit.NO_SHOW, part.number))


def _deal(shooters: int, lanes: int) -> Iterator[Habit]:
    left = shooters
    for share in SHARES:
        wanted = max(share.least, shooters // share.one_in)
        if share.habit is Habit.NO_SHOW:
            wanted = min(wanted, lanes)  # each of them keeps a lane waiting
        for _ in range(min(wanted, left // share.together)):
            yield from [share.habit] * share.together
            left -= share.together
    yield from [Habit.NONE] * left


def _rivals(habits: list[Habit]) -> dict[int, int]:
    racing = [i for i, habit in enumerate(habits) if habit is Habit.RACES]
    pairs = list(zip(racing[::2], racing[1::2], strict=True))
    return {one: other for pair in pairs for one, other in (pair, pair[::-1])}
