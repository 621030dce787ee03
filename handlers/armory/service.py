"""The armory's table of contents."""

from __future__ import annotations

from bus.service import Hears, Service
from handlers.armory import commands, events, reactions
from handlers.armory.model import ammunition, closing, corrections, custody, fitness, reckoning, register
from handlers.armory.store import ammunition as cartridges
from handlers.armory.store import applies, bookkeeping, loads, projections, upkeep
from handlers.auth.events import LicenceValidated
from handlers.booking.events import (
    BookingCancelled,
    BookingRejected,
    LaneOpened,
    NoShowReleased,
    SessionFinished,
    ShooterCheckedIn,
)
from handlers.stats.events import SessionScored


def service() -> Service:
    """What the armory hears, what it says, and what each event writes."""
    return Service(
        name="armory",
        hears=[
            Hears(commands.AddWeaponType, loads.load_weapon_type, register.add_weapon_type),
            Hears(commands.AddWeapon, loads.load_register, register.add_weapon),
            Hears(commands.StockAmmunition, cartridges.load_stock, ammunition.stock_ammunition),
            Hears(commands.WriteOffAmmunition, cartridges.load_stock, ammunition.write_off_ammunition),
            Hears(commands.RecallLot, cartridges.load_stock, ammunition.recall_lot),
            Hears(commands.ReinstateLot, cartridges.load_stock, ammunition.reinstate_lot),
            Hears(LicenceValidated, loads.load_demand, reactions.reserve),
            Hears(BookingRejected, loads.load_reservation, reactions.release),
            Hears(BookingCancelled, loads.load_reservation, reactions.release),
            Hears(NoShowReleased, loads.load_reservation, reactions.release),
            Hears(commands.IssueWeapon, loads.load_counter, custody.issue_weapon),
            Hears(commands.ReturnWeapon, loads.load_loan, custody.return_weapon),
            Hears(commands.CorrectHandover, bookkeeping.load_page, corrections.correct_handover),
            Hears(commands.QuarantineWeapon, bookkeeping.load_bench, fitness.quarantine_weapon),
            Hears(commands.ReleaseWeapon, bookkeeping.load_bench, fitness.release_weapon),
            Hears(commands.SetServiceInterval, bookkeeping.load_fleet, fitness.set_service_interval),
            Hears(commands.ServiceWeapon, bookkeeping.load_bench, fitness.service_weapon),
            Hears(SessionScored, cartridges.load_scored_account, reckoning.reckon),
            Hears(events.WeaponReturned, cartridges.load_account, reckoning.reckon),
            Hears(events.HandoverCorrected, cartridges.load_account, reckoning.reckon),
            Hears(commands.ExplainDifference, cartridges.load_account, reckoning.explain_difference),
            Hears(commands.CloseDay, bookkeeping.load_loose, closing.close_day),
            Hears(SessionFinished, loads.load_reservation, reactions.release),
        ],
        says=[
            events.WeaponTypeAdded,
            events.WeaponAdded,
            events.WeaponTypeStocked,
            events.AmmunitionStocked,
            events.AmmunitionWrittenOff,
            events.LotRecalled,
            events.LotReinstated,
            events.DifferenceExplained,
            events.AmmunitionReckoned,
            events.WeaponReserved,
            events.WeaponRefused,
            events.ReservationReleased,
            events.WeaponIssued,
            events.WeaponReturned,
            events.HandoverCorrected,
            events.WeaponQuarantined,
            events.WeaponReleased,
            events.ServiceIntervalSet,
            events.WeaponServiced,
            events.DayClosed,
        ],
        applies={
            events.WeaponTypeAdded: applies.weapon_type_added,
            events.WeaponAdded: applies.weapon_added,
            events.WeaponTypeStocked: applies.weapon_type_stocked,
            events.AmmunitionStocked: cartridges.ammunition_stocked,
            events.AmmunitionWrittenOff: cartridges.ammunition_written_off,
            events.LotRecalled: cartridges.lot_recalled,
            events.LotReinstated: cartridges.lot_reinstated,
            events.DifferenceExplained: cartridges.difference_explained,
            events.AmmunitionReckoned: cartridges.ammunition_reckoned,
            events.WeaponReserved: applies.weapon_reserved,
            events.ReservationReleased: applies.reservation_released,
            events.WeaponIssued: applies.weapon_issued,
            events.WeaponReturned: applies.weapon_returned,
            events.HandoverCorrected: applies.handover_corrected,
            events.WeaponQuarantined: upkeep.weapon_quarantined,
            events.WeaponReleased: upkeep.weapon_released,
            events.ServiceIntervalSet: upkeep.service_interval_set,
            events.WeaponServiced: upkeep.weapon_serviced,
            events.DayClosed: upkeep.day_closed,
            ShooterCheckedIn: projections.shooter_checked_in,
            BookingRejected: projections.booking_rejected,
            BookingCancelled: projections.booking_cancelled,
            NoShowReleased: projections.no_show_released,
            SessionFinished: projections.session_finished,
            LaneOpened: cartridges.lane_opened,
            SessionScored: cartridges.session_scored,
        },
        rejected_as=events.CommandRejected,
        failed_as=events.CommandFailed,
    )
