"""What the armory can be asked."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from bus.fields import Code, Moment, Rounds, Text
from bus.message import Command
from handlers.armory.events import (
    UNNUMBERED,
    Condition,
    Correction,
    Explanation,
    Incident,
    Loss,
    Lot,
    QuarantineReason,
    RecallReason,
    Retirement,
    ServiceWork,
    WriteOff,
)

Calibre = Annotated[Text, Field(max_length=40)]
"""What fits a barrel, as it is written on the box: `4.5 mm`, `.22 LR`."""


class AddWeaponType(Command, name="armory.add-weapon-type", stream="weapon-type:{weapon_type}"):
    """Enter a type of weapon that the club has."""

    weapon_type: Code
    weapon_class: Code
    calibre: Calibre
    title: Annotated[Text, Field(max_length=100)]


class AddWeapon(Command, name="armory.add-weapon", stream="weapon:{weapon}", about="weapon"):
    """Enter a weapon into the register."""

    weapon: UUID
    weapon_type: Code
    serial: Annotated[Text, Field(max_length=60)]
    maker: Annotated[Text, Field(max_length=60)] | None = None
    model: Annotated[Text, Field(max_length=60)] | None = None
    condition: Condition = "good"
    owner: UUID | None = Field(default=None, description="Left out: the club.")
    location: Code | None = Field(default=None, description="Where it lies: `safe-1`.")


class MoveWeapon(Command, name="armory.move-weapon", stream="weapon:{weapon}", about="weapon"):
    """Give a weapon another place in the armoury."""

    weapon: UUID
    location: Code


class AssessWeapon(Command, name="armory.assess-weapon", stream="weapon:{weapon}", about="weapon"):
    """Enter in what condition a weapon is."""

    weapon: UUID
    condition: Condition


class TransferWeapon(Command, name="armory.transfer-weapon", stream="weapon:{weapon}", about="weapon"):
    """Enter that a weapon in the armoury belongs to somebody else now, or to the club."""

    weapon: UUID
    owner: UUID | None


class RetireWeapon(Command, name="armory.retire-weapon", stream="weapon:{weapon}", about="weapon"):
    """Take a weapon out of the register for good."""

    weapon: UUID
    reason: Retirement


class ReportLoss(Command, name="armory.report-loss", stream="weapon:{weapon}", about="weapon"):
    """Report that a weapon is lost."""

    weapon: UUID
    reason: Loss


class RecoverWeapon(Command, name="armory.recover-weapon", stream="weapon:{weapon}", about="weapon"):
    """Enter that a weapon that was lost is here again."""

    weapon: UUID


class StockAmmunition(Command, name="armory.stock-ammunition", stream="ammunition:{calibre}"):
    """Take cartridges of a calibre and a lot into stock."""

    calibre: Calibre
    rounds: Annotated[Rounds, Field(gt=0)]
    lot: Lot = UNNUMBERED
    expires_at: Moment | None = Field(default=None, description="From then on the lot is not issued.")


class WriteOffAmmunition(Command, name="armory.write-off-ammunition", stream="ammunition:{calibre}"):
    """Take cartridges of a lot out of stock that nobody will fire."""

    calibre: Calibre
    lot: Lot
    rounds: Annotated[Rounds, Field(gt=0)]
    reason: WriteOff


class RecallLot(Command, name="armory.recall-lot", stream="ammunition:{calibre}"):
    """Issue no more cartridges of a lot."""

    calibre: Calibre
    lot: Lot
    reason: RecallReason


class ReinstateLot(Command, name="armory.reinstate-lot", stream="ammunition:{calibre}"):
    """Issue cartridges of a lot again that was recalled."""

    calibre: Calibre
    lot: Lot


class ExplainDifference(Command, name="armory.explain-difference", stream="cartridges:{booking}", about="booking"):
    """Explain why a booking's cartridges and its counted shots differ, or differ by so many."""

    booking: UUID
    reason: Explanation
    rounds: Annotated[Rounds, Field(gt=0)]


class IssueWeapon(Command, name="armory.issue-weapon", stream="weapon:{weapon}", about="booking"):
    """Hand a weapon, and cartridges with it, to the shooter of a booking who has checked in."""

    booking: UUID
    weapon: UUID
    rounds: Rounds
    lot: Lot | None = Field(
        default=None,
        description="Of the cartridges; left out: of the lots that have enough, the one that expires first.",
    )


class ReturnWeapon(Command, name="armory.return-weapon", stream="weapon:{weapon}", about="booking"):
    """Take a weapon back, the cartridges that were not fired, and those that would not fire."""

    booking: UUID
    weapon: UUID
    rounds_returned: Rounds
    rounds_misfired: Rounds = 0


class CorrectHandover(Command, name="armory.correct-handover", stream="weapon:{weapon}", about="weapon"):
    """Take back the last entry of a weapon's custody book by another, with the reason; then enter what was so."""

    weapon: UUID
    entry: Annotated[int, Field(ge=1, le=1_000_000)]
    reason: Correction


class QuarantineWeapon(Command, name="armory.quarantine-weapon", stream="weapon:{weapon}", about="weapon"):
    """Keep a weapon back: it is not handed out until it is released."""

    weapon: UUID
    reason: QuarantineReason


class ReleaseWeapon(Command, name="armory.release-weapon", stream="weapon:{weapon}", about="weapon"):
    """Release a weapon from quarantine."""

    weapon: UUID


class SetServiceInterval(Command, name="armory.set-service-interval", stream="weapon-type:{weapon_type}"):
    """Set after how many rounds, and how many days, weapons of a type must be serviced; none: they need not be."""

    weapon_type: Code
    rounds: Annotated[int, Field(ge=1, le=10_000_000)] | None
    days: Annotated[int, Field(ge=1, le=3_660)] | None = None
    minutes: Annotated[int, Field(ge=5, le=10_080, description="That a service takes.")] = 60


class ServiceWeapon(Command, name="armory.service-weapon", stream="weapon:{weapon}", about="weapon"):
    """Enter that a weapon was serviced; its rounds count from nothing again."""

    weapon: UUID
    work: ServiceWork


class PlanService(Command, name="armory.plan-service", stream="weapon:{weapon}", about="weapon"):
    """Plan a service of a weapon, at a time or as soon as a unit can be spared while a range is open."""

    weapon: UUID
    work: ServiceWork = "inspected"
    starts_at: Moment | None = None
    minutes: Annotated[int, Field(ge=5, le=10_080)] | None = Field(
        default=None, description="Left out: as long as a service of the type takes."
    )


class CancelServicePlan(Command, name="armory.cancel-service-plan", stream="weapon:{weapon}", about="weapon"):
    """Give a planned service of a weapon up."""

    weapon: UUID


class PlanServiceAhead(Command, name="armory.plan-service-ahead", stream="weapon:{weapon}", about="weapon"):
    """Plan the service of a weapon that will soon be due."""

    weapon: UUID


class FindServiceDue(Command, name="armory.find-service-due", stream="weapon:{weapon}", about="weapon"):
    """See whether the time for a weapon's service is over."""

    weapon: UUID


class Scan(BaseModel):
    """A weapon that was seen in a place."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    weapon: UUID
    location: Code


class AuditStock(Command, name="armory.audit-stock", stream="stock-audit:{audit}", about="audit"):
    """Compare what was scanned in the armoury, or in one of its places, with the register."""

    audit: UUID
    location: Code | None = Field(default=None, description="Left out: the whole armoury.")
    scans: tuple[Scan, ...] = Field(max_length=500)


class ReportIncident(Command, name="armory.report-incident", stream="incident:{incident}", about="incident"):
    """Report that something happened that should not have; the weapon goes into quarantine."""

    incident: UUID
    kind: Incident
    range: Code
    lane: Code | None = None
    booking: UUID | None = None
    weapon: UUID | None = None
    happened_at: Moment | None = Field(default=None, description="Now, if it is left out.")


class CloseDay(Command, name="armory.close-day", stream="day:{range}"):
    """Close a range for the day, if no weapon is out."""

    range: Code
