"""Under which epoch a target's shot number stands, so that each shot has one identity however often it comes; pure.

A target numbers its shots from 1 in each session of its own, says nothing of when a new one began, and repeats what it
has stored at every connection. The same target may be heard by two ways at once (TCP and HTTP), and after a restart of
ours. So what tells two epochs apart is the shots themselves: the same number with the same content is the same shot,
the same number with another content is another shot, and begins a new epoch.

Devices that name their epochs are believed, except that a shot already known from the same lane's target by its exact
content, the device's own clock included, is that shot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from gateway.tracking.shots import Sighted

REMEMBERED_SHOTS: Final = 4096  # of an epoch; no target stores and repeats so many
OLDEST_REPEAT: Final = timedelta(days=2)  # a device's clock that says more is not believed


class Fingerprint(NamedTuple):
    """What a shot looked like."""

    miss: bool
    x_um: int
    y_um: int
    elapsed_ms: int | None

    @classmethod
    def of(cls, shot: Sighted) -> Fingerprint:
        return cls(shot.miss, shot.x_um, shot.y_um, shot.elapsed_ms)

    def surely_is(self, other: Fingerprint) -> bool:
        """The device's clock agrees too, to the millisecond: no other shot looks like this."""
        return self.elapsed_ms is not None and self == other

    def may_be(self, other: Fingerprint) -> bool:
        """Nothing speaks against it: the place is the same, and so is the time where both ways tell one."""
        return self[:3] == other[:3] and (
            self.elapsed_ms is None or other.elapsed_ms is None or self.elapsed_ms == other.elapsed_ms
        )


@dataclass(slots=True)
class Epoch:
    """A run of shot numbers of one device, with what is remembered of it."""

    device: str
    epoch: str
    ordinal: int  # grows with each epoch of the lane
    named: bool  # by the device; otherwise it was found out here
    zero_at: datetime | None = None  # when the device's clock stood at zero, at the latest
    highest: int = 0
    highest_elapsed_ms: int | None = None
    seen: dict[int, Fingerprint] = field(default_factory=dict)


class Identity(NamedTuple):
    """What a shot is known by."""

    device: str
    epoch: str
    number: int


@dataclass(slots=True)
class Memory:
    """What is remembered of one lane's epochs, the newest last. `changed` collects what must be written down."""

    epochs: list[Epoch]
    new_name: Callable[[], str]
    begun: list[Epoch] = field(default_factory=list)
    added: list[tuple[Epoch, int]] = field(default_factory=list)

    def identify(self, device: str, shot: Sighted) -> tuple[Epoch, Identity]:
        """The epoch and identity of a shot; what is new is remembered."""
        looks = Fingerprint.of(shot)
        epoch = self._known_from(device, shot, looks) or (
            self._named(device, shot.epoch) if shot.epoch is not None else self._present(device, shot.number, looks)
        )
        if shot.number not in epoch.seen:
            epoch.seen[shot.number] = looks
            self.added.append((epoch, shot.number))
        if shot.number > epoch.highest:
            epoch.highest, epoch.highest_elapsed_ms = shot.number, shot.elapsed_ms
        return epoch, Identity(epoch.device, epoch.epoch, shot.number)

    def _known_from(self, device: str, shot: Sighted, looks: Fingerprint) -> Epoch | None:
        """The epoch that has this very shot already, whichever way it came. Two names of a device are never one."""
        for epoch in reversed(self.epochs):
            if shot.epoch is not None and epoch.named and (epoch.device, epoch.epoch) != (device, shot.epoch):
                continue
            known = epoch.seen.get(shot.number)
            if known is not None and looks.surely_is(known):
                return epoch
        return None

    def _named(self, device: str, name: str) -> Epoch:
        for epoch in self.epochs:
            if (epoch.device, epoch.epoch) == (device, name):
                return epoch
        return self._begin(device, name, named=True)

    def _present(self, device: str, number: int, looks: Fingerprint) -> Epoch:
        present = next((one for one in reversed(self.epochs) if one.device == device and not one.named), None)
        if present is None:
            return self._begin(device, self.new_name(), named=False)
        known = present.seen.get(number)
        if looks.may_be(known) if known is not None else _may_follow(present, number, looks):
            return present
        return self._begin(device, self.new_name(), named=False)

    def _begin(self, device: str, name: str, *, named: bool) -> Epoch:
        ordinal = self.epochs[-1].ordinal + 1 if self.epochs else 1
        epoch = Epoch(device, name, ordinal, named)
        self.epochs.append(epoch)
        self.begun.append(epoch)
        return epoch


def _may_follow(epoch: Epoch, number: int, looks: Fingerprint) -> bool:
    """Whether a number not remembered can be this epoch's.

    A device's clock goes up with its numbers, and a number that was forgotten does not come again, unless both began
    anew.
    """
    if number <= epoch.highest - REMEMBERED_SHOTS:
        return False
    if looks.elapsed_ms is None or epoch.highest_elapsed_ms is None:
        return True
    later = looks.elapsed_ms - epoch.highest_elapsed_ms
    return later >= 0 if number > epoch.highest else later <= 0


def set_clock(epoch: Epoch, shot: Sighted, received_at: datetime, *, live: bool) -> None:
    """Learn from a shot when the device's clock stood at zero.

    A shot that has just been fired says it exactly. One that is repeated only says that it was not later, and may have
    been much earlier.
    """
    if shot.elapsed_ms is None:
        return
    zero_at = received_at - timedelta(milliseconds=shot.elapsed_ms)
    epoch.zero_at = zero_at if live or epoch.zero_at is None else min(epoch.zero_at, zero_at)


def fired_at(epoch: Epoch, shot: Sighted, received_at: datetime, *, live: bool) -> datetime:
    """When a shot came, or would have come: one that is repeated was fired when the device's clock says."""
    if not live and shot.fired_at is not None:
        return min(shot.fired_at, received_at)
    if live or shot.elapsed_ms is None or epoch.zero_at is None:
        return received_at
    told = epoch.zero_at + timedelta(milliseconds=shot.elapsed_ms)
    return told if received_at - OLDEST_REPEAT < told < received_at else received_at
