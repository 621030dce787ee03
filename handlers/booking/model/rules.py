"""Booking's rules: each class is one, and the first line of its docstring is what is said when it is broken."""

from __future__ import annotations

from bus.errors import Rejected


class AdminsOnly(Rejected):
    """Only an administrator sets up ranges and lanes."""


class TimeZoneUnknown(Rejected):
    """{time_zone} is no time zone of the IANA database."""


class OpeningHoursBackwards(Rejected):
    """On weekday {weekday} the range would close before it opens."""


class OpeningHoursOverlap(Rejected):
    """Two spans of the opening hours overlap on weekday {weekday}."""


class HolidaysUnknown(Rejected):
    """No public holidays of {country} are known."""


class DayNamedTwice(Rejected):
    """{day} has two exceptions."""


class RangeUnknown(Rejected):
    """There is no range called {range}."""


class LaneElsewhere(Rejected):
    """Lane {lane} stands in range {range} already."""


class LaneUnknown(Rejected):
    """There is no lane called {lane}."""


class StaffOnly(Rejected):
    """Only staff orders a cease fire."""


class CeaseFireHolds(Rejected):
    """Cease fire holds on this range since {since}; nothing begins until fire is resumed."""


class NoCeaseFire(Rejected):
    """No cease fire holds on this range."""


class RangeOfficersOnly(Rejected):
    """Only an instructor lets a range go on after a cease fire."""


class NotForOthers(Rejected):
    """A shooter can book for nobody else."""


class EntitlementWithdrawn(Rejected):
    """Your licences cover this booking no more: {because}."""


class AskedBefore(Rejected):
    """A booking of this id was asked for before."""


class EndsBeforeStart(Rejected):
    """A booking must end after it begins."""


class TimePast(Rejected):
    """The time asked for began at {starts}, which is past."""


class TooFarAhead(Rejected):
    """A lane can be booked {days} days ahead at most."""


class TooLong(Rejected):
    """A booking lasts {hours} hours at most."""


class NoticeTooShort(Rejected):
    """This range is booked {minutes} minutes ahead at least; ask its staff."""


class StartsTooLate(Rejected):
    """Sessions begin {minutes} minutes before closing at the latest; that day at {latest}."""


class CalibreNotSaid(Rejected):
    """Lane {lane} is limited to some calibres: say which one your weapon has."""


class CalibreNotOnLane(Rejected):
    """{calibre} is not fired on lane {lane}; these are: {calibres}."""


class EnergyNotSaid(Rejected):
    """Lane {lane} holds {most_energy_j} J at most: say what your cartridges have at the muzzle."""


class TooMuchEnergy(Rejected):
    """{energy_j} J are too much for lane {lane}, which holds {most_energy_j} J."""


class LaneIsClosed(Rejected):
    """Lane {lane} is closed from {starts} to {ends}."""


class ClosureUnknown(Rejected):
    """Lane {lane} has no such closure."""


class ClosureMeetsBooking(Rejected):
    """Lane {lane} is booked from {starts} to {ends}; that booking must be moved first."""


class RangeClosed(Rejected):
    """The range is not open all the time from {starts} to {ends}."""


class NotWholeSlots(Rejected):
    """A booking is made of whole slots of {minutes} minutes, counted from when the range opens."""


class LaneNotForClass(Rejected):
    """Weapons of class {weapon_class} are not shot on lane {lane}."""


class WeaponTypeUnknown(Rejected):
    """The club has no weapon type {weapon_type}."""


class WeaponTypeOfOtherClass(Rejected):
    """Weapon type {weapon_type} is of class {weapon_class}, not {asked}."""


class SlotTaken(Rejected):
    """Lane {lane} is taken from {starts} to {ends}."""


class ShooterElsewhere(Rejected):
    """The shooter is booked on lane {lane} from {starts} to {ends}."""


class HoldExpired(Rejected):
    """The lane was held until {until}, and by then {waiting_for} had not answered."""


class HoldAlreadyAnswered(Rejected):
    """The booking has been answered; there is no hold to let go of."""


class CancelledWhileHeld(Rejected):
    """The booking was cancelled before it was confirmed."""


class BookingUnknown(Rejected):
    """There is no such booking."""


class TooLateToCancel(Rejected):
    """The booking is {state}; it can be cancelled only before the session begins."""


class NotConfirmed(Rejected):
    """The booking is {state}; only a confirmed one can be checked in."""


class CheckInNotOpen(Rejected):
    """Check-in for this booking opens at {opens}."""


class TimeOver(Rejected):
    """The time booked ended at {ended}."""


class NotCheckedIn(Rejected):
    """The booking is {state}; a session begins after check-in."""


class WeaponNotIssued(Rejected):
    """The weapon that was booked has not been handed out yet."""


class OnlyStaffWaivesFees(Rejected):
    """Only staff lets somebody off a cancellation fee."""


class BeingRescheduled(Rejected):
    """The booking is being rescheduled; until that is answered it stays as it is."""


class NotToReschedule(Rejected):
    """The booking is {state}; only a confirmed one can be rescheduled."""


class TooLateToReschedule(Rejected):
    """It is too late to reschedule: the booking begins at {starts}, and cancelling it now would cost a fee."""


class HasBegun(Rejected):
    """The time booked began at {starts}."""


class CapacityExceeded(Rejected):
    """On lane {lane} {capacity} may shoot at once, not {asked}."""


class ParticipantTwice(Rejected):
    """Every participant is named once, and the shooter is none."""


class ParticipantNotEntitled(Rejected):
    """A participant ({participant}) has no confirmed licence for {weapon_class} at this time."""


class NoSuchParticipant(Rejected):
    """The booking has no such participant."""


class ParticipantsFixed(Rejected):
    """The booking is {state}; participants come and go before the session begins."""


class NotToTransfer(Rejected):
    """The booking is {state}; it gets another lane once it is confirmed and before the session begins."""


class InstructorsTransfer(Rejected):
    """Only an instructor gives a booking another lane."""


class OtherRange(Rejected):
    """Lane {lane} belongs to another range."""


class OtherDiscipline(Rejected):
    """On lane {lane} {discipline} is shot, and the booking is for {asked}."""


class SeriesRefused(Rejected):
    """The series cannot be booked on lane {lane} at {starts}, because: {reason}."""


class NothingOfTheSeriesFree(Rejected):
    """None of the times of this series is free."""


class TooManyTimes(Rejected):
    """A series has {most} bookings at most, not {asked}."""


class BlocksByStaff(Rejected):
    """Several lanes at a time are booked by the range's staff."""


class SeriesUnknown(Rejected):
    """There is no such series."""


class NothingToCancel(Rejected):
    """Nothing of this series is still to come."""


class AlreadyWaiting(Rejected):
    """You wait for a time that overlaps this one already."""


class TooManyEntries(Rejected):
    """A shooter waits for {most} times at most."""


class NoSuchLanes(Rejected):
    """The range has no lane of {discipline} that takes {weapon_class}, or not the one that was named."""


class NotOnTheList(Rejected):
    """There is no such place in a waiting list."""


class NoLongerWaiting(Rejected):
    """This wait is over: it is {state}."""


class NoOfferMade(Rejected):
    """There is no offer to accept; you are waiting still."""


class OfferOver(Rejected):
    """The offer held until {until}."""


class LaneInUse(Rejected):
    """Lane {lane} is still in use."""


class StartTooEarly(Rejected):
    """The session cannot begin early: another booking on lane {lane} comes first, until {until}."""


class ShooterInSession(Rejected):
    """The shooter is still in another session."""


class InstructorsOnly(Rejected):
    """Only an instructor finishes a session."""


class NotEntitledAnyMore(Rejected):
    """Your licences cover this booking no more; give the weapon back, if you have one."""


class NotInUse(Rejected):
    """The booking is {state}; only a session that has begun can be finished."""


class WeaponStillOut(Rejected):
    """The weapon has not been returned yet."""


class NothingToRelease(Rejected):
    """The booking is {state}; nobody is being waited for."""
