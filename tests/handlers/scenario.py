"""Decisions told in steps: `given(state).when(decide, message).then(event)`, or `.then_refused(rule)`."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

from bus.errors import Rejected
from bus.service import Effect, Given

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)  # a Monday
ID = UUID(int=1)  # of the message decided
S = TypeVar("S")
M = TypeVar("M")


def given(state: S, *, at: datetime = NOON, actor: str = "service:test", id_: UUID = ID) -> "Scenario[S]":
    return Scenario(state, Given(at=at, id=id_, correlation=id_, actor=actor))


class Decided(NamedTuple):
    effects: tuple[Effect, ...]
    refusal: Rejected | None

    def then(self, *expected: Effect) -> None:
        assert self.refusal is None, f"refused: {self.refusal.reason}"
        assert self.effects == expected

    def then_refused(self, rule: type[Rejected], **facts: object) -> None:
        assert type(self.refusal) is rule, f"decided {self.effects or self.refusal!r}"
        assert facts.items() <= self.refusal.facts.items(), self.refusal.facts


class Scenario(NamedTuple, Generic[S]):
    state: S
    known: Given

    def when(self, decide: Callable[[S, M, Given], Sequence[Effect]], message: M) -> Decided:
        try:
            return Decided(tuple(decide(self.state, message, self.known)), None)
        except Rejected as refusal:
            return Decided((), refusal)
