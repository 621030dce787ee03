"""What an invariant is, and what the checks may use besides the database: the clients' own record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from bus.connection import Connection
from simulation.history import Sent

MOST_ROWS = 20  # of what is broken; each statement shows no more


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was accepted from the clients, and what the targets fired."""

    commands: Sequence[UUID]
    shots: Sequence[Sent]


Check = Callable[[Connection, Evidence], Awaitable[Sequence[Record]]]
"""Looks for rows that break a promise: none is well."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """A promise, under its number in the list of invariants, and the statements that look for its breach."""

    number: int
    sentence: str
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """An invariant and what breaks it: rows, each with the name of the check that found it."""

    number: int
    sentence: str
    broken: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.broken
