"""What the clients of a range day saw: the record that the log is compared with afterwards."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from ops.api import Json


class Refused(NamedTuple):
    """Who refused what, and by which rule."""

    what: str
    refused_by: str
    rule: str


class Sent(NamedTuple):
    """A shot that a target fired, as it must stand in the log, once."""

    lane: str
    number: int
    miss: bool
    x_um: int
    y_um: int
    kind: str


@dataclass
class History:
    """Everything worth remembering, kept by the clients and the targets themselves."""

    commands: dict[UUID, str] = field(default_factory=dict)  # each one accepted, and what it was
    ends: dict[UUID, str | Refused] = field(default_factory=dict)  # its status, or by whom it was rejected
    repeats: int = 0  # the same key again, and the same command came back
    conflicts: int = 0  # the same key with another body was refused
    happened: Counter[str] = field(default_factory=Counter)
    booking_ms: list[float] = field(default_factory=list)  # from the wish to its confirmation
    shots: list[Sent] = field(default_factory=list)
    frames: int = 0  # shots told, by whatever way and however often

    def accepted(self, what: str, command: str) -> None:
        self.commands[UUID(command)] = what

    def ended(self, what: str, answer: Json) -> None:
        """Keeps how a command ended: its status, or the problem that a rule or a fault made of it."""
        if "command" not in answer:
            return  # refused at the gate: it was never accepted
        self.accepted(what, answer["command"])
        refusal = answer.get("rejection") or answer
        self.ends[UUID(answer["command"])] = (
            Refused(what, refusal["refused_by"], refusal["rule"])
            if "rule" in refusal
            else str(answer["status"] if answer["status"] == "done" else "failed")
        )

    @property
    def refusals(self) -> Counter[Refused]:
        return Counter(end for end in self.ends.values() if isinstance(end, Refused))

    def percentile_ms(self, share: float) -> float | None:
        """The time within which this share of the bookings was confirmed."""
        if not self.booking_ms:
            return None
        ordered = sorted(self.booking_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
