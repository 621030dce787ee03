"""Booking's table of contents."""

from __future__ import annotations

from bus.service import Hears, Service
from handlers.armory.events import (
    HandoverCorrected,
    WeaponIssued,
    WeaponRefused,
    WeaponReserved,
    WeaponReturned,
    WeaponTypeAdded,
    WeaponTypeStocked,
)
from handlers.auth.events import (
    EntitlementsPublished,
    ExpiryForeseen,
    LicenceRefused,
    LicenceValidated,
    PersonRegistered,
    RolesAssigned,
)
from handlers.booking import commands, events, reactions
from handlers.booking.model import bookings, cease_fires, changes, ranges, series, sessions, waitlist
from handlers.booking.store import applies, loads, projections
from handlers.booking.store import series as weeks
from handlers.booking.store import waitlist as line
from handlers.payment.events import InvoiceIssued, InvoiceRefused, InvoiceSettled


def service() -> Service:
    """What booking hears, what it says, and what each event writes."""
    return Service(
        name="booking",
        hears=[
            Hears(commands.SetUpRange, loads.load_range_case, ranges.set_up_range),
            Hears(commands.OpenLane, loads.load_range_case, ranges.open_lane),
            Hears(commands.CloseLane, loads.load_closing, ranges.close_lane),
            Hears(commands.ReopenLane, loads.load_closing, ranges.reopen_lane),
            Hears(commands.CeaseFire, loads.load_firing, cease_fires.cease_fire),
            Hears(commands.ResumeFire, loads.load_firing, cease_fires.resume_fire),
            Hears(commands.BookSession, loads.load_wish, bookings.book_session, leaves_open=True),
            Hears(LicenceRefused, loads.load_booking, reactions.licence_refused),
            Hears(EntitlementsPublished, loads.load_active, reactions.entitlements_published),
            Hears(WeaponRefused, loads.load_booking, reactions.weapon_refused),
            Hears(InvoiceRefused, loads.load_booking, reactions.invoice_refused),
            Hears(InvoiceIssued, loads.load_confirming, reactions.invoice_issued),
            # its event answers the wish to book
            Hears(commands.ExpireHold, loads.load_booking, bookings.expire_hold, leaves_open=True),
            Hears(commands.CancelBooking, loads.load_case, bookings.cancel_booking),
            Hears(commands.RescheduleBooking, loads.load_rescheduling, changes.reschedule_booking, leaves_open=True),
            Hears(commands.TransferBooking, loads.load_transfer, changes.transfer_booking),
            Hears(commands.AddParticipant, loads.load_share, changes.add_participant),
            Hears(commands.RemoveParticipant, loads.load_share, changes.remove_participant),
            Hears(commands.BookSeries, weeks.load_series, series.book_series),
            Hears(commands.CancelSeries, weeks.load_series_to_cancel, series.cancel_series),
            Hears(commands.JoinWaitlist, line.load_joining, waitlist.join_waitlist),
            Hears(commands.LeaveWaitlist, line.load_entry, waitlist.leave_waitlist),
            Hears(commands.AcceptOffer, line.load_acceptance, waitlist.accept_offer, leaves_open=True),
            Hears(commands.ExpireEntry, line.load_entry, waitlist.expire_entry),
            # after each of these a lane may be free for the next in line
            *(
                Hears(freed, line.load_line_after_booking, waitlist.offer_places)
                for freed in (
                    events.BookingRejected,
                    events.BookingCancelled,
                    events.BookingTransferred,
                    events.NoShowReleased,
                    events.SessionFinished,
                )
            ),
            *(
                Hears(freed, line.load_line_after_entry, waitlist.offer_places)
                for freed in (events.WaitlistJoined, events.WaitlistLapsed, events.WaitlistLeft)
            ),
            Hears(events.LaneReopened, line.load_line_after_closure, waitlist.offer_places),
            Hears(commands.ReleaseNoShow, loads.load_booking, bookings.release_no_show),
            Hears(commands.CheckIn, loads.load_case, sessions.check_in),
            Hears(commands.StartSession, loads.load_start, sessions.start_session),
            Hears(commands.FinishSession, loads.load_case, sessions.finish_session),
        ],
        says=[
            events.RangeSetUp,
            events.LaneOpened,
            events.LaneClosed,
            events.LaneReopened,
            events.CeaseFireOrdered,
            events.FireResumed,
            events.LaneHeld,
            events.BookingConfirmed,
            events.BookingRejected,
            events.BookingCancelled,
            events.EntitlementLost,
            events.CancellationFeeCharged,
            events.BookingTransferred,
            events.ParticipantAdded,
            events.ParticipantRemoved,
            events.NoShowReleased,
            events.ShooterCheckedIn,
            events.SessionStarted,
            events.SessionFinished,
            events.OvertimeCharged,
            events.SeriesBooked,
            events.SeriesCancelled,
            events.WaitlistJoined,
            events.WaitlistOffered,
            events.WaitlistOfferAccepted,
            events.WaitlistLapsed,
            events.WaitlistLeft,
        ],
        asks_itself=[commands.ExpireHold, commands.ReleaseNoShow, commands.ExpireEntry],
        applies={
            events.RangeSetUp: applies.range_set_up,
            events.LaneOpened: applies.lane_opened,
            events.LaneClosed: applies.lane_closed,
            events.LaneReopened: applies.lane_reopened,
            events.CeaseFireOrdered: applies.cease_fire_ordered,
            events.FireResumed: applies.fire_resumed,
            events.LaneHeld: applies.lane_held,
            events.BookingConfirmed: applies.booking_confirmed,
            events.BookingRejected: applies.booking_rejected,
            events.BookingCancelled: applies.booking_cancelled,
            events.EntitlementLost: applies.entitlement_lost,
            events.BookingTransferred: applies.booking_transferred,
            events.ParticipantAdded: applies.participant_added,
            events.ParticipantRemoved: applies.participant_removed,
            events.NoShowReleased: applies.no_show_released,
            events.ShooterCheckedIn: applies.shooter_checked_in,
            events.SessionStarted: applies.session_started,
            events.SessionFinished: applies.session_finished,
            events.WaitlistJoined: line.waitlist_joined,
            events.WaitlistOffered: line.waitlist_offered,
            events.WaitlistOfferAccepted: line.waitlist_offer_accepted,
            events.WaitlistLapsed: line.waitlist_lapsed,
            events.WaitlistLeft: line.waitlist_left,
            PersonRegistered: projections.roles_assigned,
            RolesAssigned: projections.roles_assigned,
            EntitlementsPublished: projections.entitlements_published,
            ExpiryForeseen: projections.expiry_foreseen,
            LicenceValidated: projections.licence_validated,
            WeaponTypeAdded: projections.weapon_type_added,
            WeaponTypeStocked: projections.weapon_type_stocked,
            WeaponReserved: projections.weapon_reserved,
            WeaponIssued: projections.weapon_issued,
            WeaponReturned: projections.weapon_returned,
            HandoverCorrected: projections.handover_corrected,
            InvoiceSettled: projections.invoice_settled,
        },
        rejected_as=events.CommandRejected,
        failed_as=events.CommandFailed,
    )
