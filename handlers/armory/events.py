"""What the armory tells."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from bus import answers
from bus.fields import Code, Moment, Rounds, Text
from bus.message import Event
from handlers.booking.events import Terms

Lot = Annotated[Text, Field(max_length=60)]
"""Cartridges that were made together, by the number that is printed on their boxes."""

UNNUMBERED: Final = "unnumbered"  # the lot of cartridges whose boxes bear no number


Condition = Literal["new", "good", "worn", "poor"]
"""In what condition a weapon is."""


class WeaponTypeAdded(Event, name="armory.weapon-type-added", stream="weapon-type:{weapon_type}"):
    """The club has a new type of weapon."""

    weapon_type: Code
    weapon_class: Code
    calibre: Text
    title: Text


class WeaponAdded(Event, name="armory.weapon-added", stream="weapon:{weapon}"):
    """A weapon came into the register."""

    weapon: UUID
    weapon_type: Code
    serial: Text
    added_at: Moment | None = None
    service_due_at: Moment | None = None
    maker: Text | None = None
    model: Text | None = None
    condition: Condition = "good"
    owner: UUID | None = Field(default=None, description="none: the club")
    location: Code | None = None


class WeaponMoved(Event, name="armory.weapon-moved", stream="weapon:{weapon}"):
    """A weapon has its place elsewhere in the armoury now."""

    weapon: UUID
    location: Code
    moved_by: UUID
    moved_at: Moment


class WeaponAssessed(Event, name="armory.weapon-assessed", stream="weapon:{weapon}"):
    """Somebody looked at a weapon and said in what condition it is."""

    weapon: UUID
    condition: Condition
    assessed_by: UUID
    assessed_at: Moment


class WeaponTransferred(Event, name="armory.weapon-transferred", stream="weapon:{weapon}"):
    """A weapon that lies in the armoury belongs to somebody else now."""

    weapon: UUID
    owner: UUID | None = Field(description="none: the club")
    transferred_by: UUID
    transferred_at: Moment


Retirement = Literal["sold", "destroyed", "handed-over", "scrapped"]
"""How a weapon left the register."""


class WeaponRetired(Event, name="armory.weapon-retired", stream="weapon:{weapon}"):
    """A weapon left the register for good; what is written of it stays."""

    weapon: UUID
    reason: Retirement
    retired_by: UUID
    retired_at: Moment


Loss = Literal["missing", "not-returned", "stolen"]
"""How a weapon was lost."""


class WeaponLost(Event, name="armory.weapon-lost", stream="weapon:{weapon}"):
    """A weapon is not where it should be, and nobody knows where it is."""

    weapon: UUID
    reason: Loss
    reported_by: UUID
    reported_at: Moment


class WeaponRecovered(Event, name="armory.weapon-recovered", stream="weapon:{weapon}"):
    """A weapon that was lost is here again; it is in quarantine until it is released."""

    weapon: UUID
    recovered_by: UUID
    recovered_at: Moment


class Away(BaseModel):
    """A time in which a unit that is fit is kept for a planned service."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    starts_at: Moment
    ends_at: Moment


class WeaponTypeStocked(Event, name="armory.weapon-type-stocked", stream="weapon-type:{weapon_type}"):
    """How many units of a type are fit for use, and when some of them are kept for a service."""

    weapon_type: Code
    weapon_class: Code
    title: Text
    units: int
    away: tuple[Away, ...] = ()


class AmmunitionStocked(Event, name="armory.ammunition-stocked", stream="ammunition:{calibre}"):
    """Cartridges of a calibre and a lot came into stock."""

    calibre: Text
    rounds: Rounds
    lot: Lot = UNNUMBERED
    expires_at: Moment | None = None


WriteOff = Literal["misfired", "damaged", "lost", "destroyed"]
"""What became of cartridges that were neither fired nor are there any more."""

RecallReason = Literal["maker", "misfires", "pressure", "damaged", "mislabelled"]
"""Why a lot is not issued any more."""


class AmmunitionWrittenOff(Event, name="armory.ammunition-written-off", stream="ammunition:{calibre}"):
    """Cartridges of a lot are no longer in stock, and nobody fired them."""

    calibre: Text
    lot: Lot
    rounds: Rounds
    reason: WriteOff
    written_off_by: UUID
    written_off_at: Moment


class LotRecalled(Event, name="armory.lot-recalled", stream="ammunition:{calibre}"):
    """A lot of cartridges is not issued any more."""

    calibre: Text
    lot: Lot
    reason: RecallReason
    recalled_by: UUID
    recalled_at: Moment


class LotReinstated(Event, name="armory.lot-reinstated", stream="ammunition:{calibre}"):
    """A lot that was recalled is issued again."""

    calibre: Text
    lot: Lot
    reinstated_by: UUID
    reinstated_at: Moment


Explanation = Literal["misfired", "damaged", "lost", "destroyed", "not-counted", "not-issued"]
"""Why a booking's cartridges and its counted shots differ: what was written off, shots that the target did not count,
and counted shots whose cartridges were not issued for this booking."""


class DifferenceExplained(Event, name="armory.difference-explained", stream="cartridges:{booking}"):
    """So many cartridges of a booking differ from its counted shots for this reason."""

    booking: UUID
    reason: Explanation
    rounds: Rounds
    explained_by: UUID
    explained_at: Moment


class AmmunitionReckoned(Event, name="armory.ammunition-reckoned", stream="cartridges:{booking}"):
    """How a booking's cartridges add up: issued = fired + returned + written off + unexplained."""

    booking: UUID
    counted: int | None = Field(description="shots by the lane's target; none: nothing there counts shots")
    issued: int
    fired: int
    returned: int
    written_off: int
    unexplained: int = Field(description="less than nothing: more shots were counted than cartridges are missing")
    weapon: UUID
    weapon_rounds: int = Field(description="by so many rounds the weapon's count changes with this")


class WeaponReserved(Event, name="armory.weapon-reserved", stream="reservation:{booking}"):
    """A weapon of the type asked for will be there."""

    booking: UUID
    terms: Terms


class WeaponRefused(Event, name="armory.weapon-refused", stream="reservation:{booking}"):
    """No weapon of the type asked for will be free then."""

    booking: UUID
    terms: Terms
    rule: Code
    rule_version: int
    reason: Text


class ReservationReleased(Event, name="armory.reservation-released", stream="reservation:{booking}"):
    """The weapon kept for a booking is free for others."""

    booking: UUID
    weapon_type: Code


class WeaponIssued(Event, name="armory.weapon-issued", stream="weapon:{weapon}"):
    """A weapon was handed to a shooter."""

    weapon: UUID
    booking: UUID
    handed_to: UUID
    handed_by: UUID
    rounds: Rounds
    issued_at: Moment
    lot: Lot | None = Field(default=None, description="of the cartridges; none: there are none, or they bear no number")


class WeaponReturned(Event, name="armory.weapon-returned", stream="weapon:{weapon}"):
    """A weapon was taken back."""

    weapon: UUID
    booking: UUID
    returned_by: UUID
    taken_by: UUID
    rounds_returned: Rounds
    rounds_fired: Rounds
    returned_at: Moment
    rounds_misfired: Rounds = 0


Correction = Literal["wrong-weapon", "wrong-booking", "wrong-rounds", "entered-too-early", "did-not-happen"]
"""Why an entry of the custody book is taken back."""


class HandoverCorrected(Event, name="armory.handover-corrected", stream="weapon:{weapon}"):
    """An entry of the custody book was wrong: a new one takes it back, and the weapon is with whom it was before."""

    weapon: UUID
    corrects: int
    kind: Literal["issue", "return"]
    booking: UUID
    from_person: UUID
    to_person: UUID
    rounds: Rounds
    rounds_not_fired: Rounds
    reason: Correction
    corrected_by: UUID
    corrected_at: Moment


QuarantineReason = Literal["damaged", "malfunction", "incident", "recall", "inspection"]
"""Why a weapon is kept back."""

ServiceWork = Literal["cleaned", "inspected", "repaired", "overhauled", "rebarrelled"]
"""What was done at a service."""


class WeaponQuarantined(Event, name="armory.weapon-quarantined", stream="weapon:{weapon}"):
    """A weapon is kept back."""

    weapon: UUID
    reason: QuarantineReason
    quarantined_by: UUID
    quarantined_at: Moment


class WeaponReleased(Event, name="armory.weapon-released", stream="weapon:{weapon}"):
    """A weapon is no longer kept back."""

    weapon: UUID
    released_by: UUID
    released_at: Moment


class ServiceIntervalSet(Event, name="armory.service-interval-set", stream="weapon-type:{weapon_type}"):
    """After how many rounds and days weapons of a type must be serviced, and how long that takes."""

    weapon_type: Code
    rounds: int | None
    days: int | None = None
    minutes: int = 60
    set_at: Moment | None = None


class WeaponServiced(Event, name="armory.weapon-serviced", stream="weapon:{weapon}"):
    """A weapon was serviced after so many rounds."""

    weapon: UUID
    work: ServiceWork
    rounds_fired: int
    rounds_since_service: int
    serviced_by: UUID
    serviced_at: Moment
    barrel: int = Field(default=1, description="the weapon's first, second … barrel; a new one counts from nothing")
    barrel_rounds: int | None = Field(default=None, description="fired through that barrel by then")
    next_due_at: Moment | None = None


class ServicePlanned(Event, name="armory.service-planned", stream="weapon:{weapon}"):
    """A weapon is to be serviced at a time; until then it is handed out as before."""

    weapon: UUID
    work: ServiceWork
    starts_at: Moment
    ends_at: Moment
    planned_by: UUID | None = Field(description="none: the armory itself, as it will soon be due")


class ServicePlanCancelled(Event, name="armory.service-plan-cancelled", stream="weapon:{weapon}"):
    """A planned service of a weapon was given up."""

    weapon: UUID
    cancelled_by: UUID


class ServiceFellDue(Event, name="armory.service-fell-due", stream="weapon:{weapon}"):
    """The time before which a weapon was to be serviced is over; it is not handed out before that is done."""

    weapon: UUID
    due_at: Moment


class Finding(BaseModel):
    """A weapon that is not where the register has it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    weapon: UUID
    found: Literal["missing", "unexpected", "misplaced"]
    registered: Text = Field(description="what the register says: its place, or `out`, `lost`, `retired`, `unknown`")
    place: Code | None = Field(description="where it was scanned")


class StockAudited(Event, name="armory.stock-audited", stream="stock-audit:{audit}"):
    """What lies in the armoury was scanned and compared with the register."""

    audit: UUID
    location: Code | None = Field(description="none: all places")
    expected: int
    scanned: int
    findings: tuple[Finding, ...]
    audited_by: UUID
    audited_at: Moment


Incident = Literal["accidental-discharge", "injury", "malfunction", "unsafe-handling", "damage", "near-miss", "other"]
"""What happened."""


class IncidentReported(Event, name="armory.incident-reported", stream="incident:{incident}"):
    """Something happened that should not have; what was written down about it in words is kept outside the log."""

    incident: UUID
    kind: Incident
    range: Code
    lane: Code | None
    booking: UUID | None
    weapon: UUID | None
    happened_at: Moment
    reported_by: UUID
    reported_at: Moment


class DayClosed(Event, name="armory.day-closed", stream="day:{range}"):
    """A range's day is over, and every weapon is back."""

    range: Code
    closed_by: UUID
    closed_at: Moment


class CommandRejected(answers.CommandRejected, name="armory.command-rejected", stream="{about}", rejects="command"):
    """The armory refused a command by one of its rules."""


class CommandFailed(answers.CommandFailed, name="armory.command-failed", stream="{about}", fails="command"):
    """The armory could not carry out a command because of a fault."""
