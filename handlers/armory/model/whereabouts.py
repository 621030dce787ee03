"""Where a weapon belongs, to whom, and whether it is still there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bus.errors import Rejected
from bus.message import Event
from bus.service import Given
from handlers.armory.commands import (
    AssessWeapon,
    MoveWeapon,
    RecoverWeapon,
    ReportLoss,
    RetireWeapon,
    TransferWeapon,
)
from handlers.armory.events import (
    WeaponAssessed,
    WeaponLost,
    WeaponMoved,
    WeaponQuarantined,
    WeaponRecovered,
    WeaponRetired,
    WeaponTransferred,
)
from handlers.armory.model.fitness import Bench, WeaponRetiredBefore, WeaponUnknown, known, restocked
from handlers.armory.model.people import who


class OutStill(Rejected):
    """This weapon is out; that can be done once it is back."""


class NotLost(Rejected):
    """This weapon is not lost."""


def move_weapon(bench: Bench, asked: MoveWeapon, given: Given) -> Sequence[Event]:
    known(bench)
    return [WeaponMoved(**asked.model_dump(), moved_by=who(given), moved_at=given.at)]


def assess_weapon(bench: Bench, asked: AssessWeapon, given: Given) -> Sequence[Event]:
    known(bench)
    return [WeaponAssessed(**asked.model_dump(), assessed_by=who(given), assessed_at=given.at)]


def transfer_weapon(bench: Bench, asked: TransferWeapon, given: Given) -> Sequence[Event]:
    known(bench)
    if bench.out:
        raise OutStill
    return [WeaponTransferred(**asked.model_dump(), transferred_by=who(given), transferred_at=given.at)]


def retire_weapon(bench: Bench, asked: RetireWeapon, given: Given) -> Sequence[Event]:
    weapon = known(bench)
    if bench.out:
        raise OutStill
    said = WeaponRetired(**asked.model_dump(), retired_by=who(given), retired_at=given.at)
    return [said, *restocked(weapon, replace(weapon, gone="retired", planned=None))]


def report_loss(bench: Bench, asked: ReportLoss, given: Given) -> Sequence[Event]:
    """A weapon may be lost while it is out: by the book its holder has it until it is taken back from him."""
    weapon = known(bench)
    said = WeaponLost(**asked.model_dump(), reported_by=who(given), reported_at=given.at)
    return [said, *restocked(weapon, replace(weapon, gone="lost", planned=None))]


def recover_weapon(bench: Bench, asked: RecoverWeapon, given: Given) -> Sequence[Event]:
    """What was lost is looked at before anybody shoots with it."""
    weapon = bench.weapon
    if weapon is None:
        raise WeaponUnknown
    if weapon.gone == "retired":
        raise WeaponRetiredBefore
    if weapon.gone != "lost":
        raise NotLost
    said: list[Event] = [WeaponRecovered(weapon=asked.weapon, recovered_by=who(given), recovered_at=given.at)]
    if weapon.quarantine is None:
        said.append(
            WeaponQuarantined(
                weapon=asked.weapon, reason="inspection", quarantined_by=who(given), quarantined_at=given.at
            )
        )
    return said
