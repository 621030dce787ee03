"""Payment's table of contents."""

from __future__ import annotations

from bus.service import AfterLastAttempt, Hears, Service
from handlers.armory.events import WeaponReserved
from handlers.auth.events import LicenceValidated
from handlers.booking.events import (
    BookingCancelled,
    BookingRejected,
    CancellationFeeCharged,
    NoShowReleased,
    OvertimeCharged,
)
from handlers.payment import commands, events, reactions
from handlers.payment.model import desk, prices
from handlers.payment.store import applies, loads, projections

HOLD = AfterLastAttempt.HOLD  # money waits for a person; it is never passed over


def service() -> Service:
    """What payment hears, what it says, and what each event writes."""
    return Service(
        name="payment",
        hears=[
            Hears(commands.PublishPriceList, loads.load_last_version, prices.publish_price_list, after_last=HOLD),
            Hears(
                LicenceValidated,
                loads.load_own_weapon_demand,
                reactions.invoice_own_weapon,
                after_last=HOLD,
            ),
            Hears(WeaponReserved, loads.load_demand, reactions.invoice, after_last=HOLD),
            Hears(BookingRejected, loads.load_issued, reactions.credit, after_last=HOLD),
            Hears(BookingCancelled, loads.load_issued, reactions.credit, after_last=HOLD),
            Hears(
                CancellationFeeCharged,
                loads.load_cancellation_fee,
                reactions.invoice_cancellation_fee,
                after_last=HOLD,
            ),
            Hears(OvertimeCharged, loads.load_overtime, reactions.invoice_overtime, after_last=HOLD),
            Hears(commands.TakePayment, loads.load_standing, desk.take_payment, after_last=HOLD),
            Hears(commands.PayRefund, loads.load_standing, desk.pay_refund, after_last=HOLD),
        ],
        says=[
            events.PriceListPublished,
            events.InvoiceIssued,
            events.InvoiceRefused,
            events.InvoiceCredited,
            events.PaymentTaken,
            events.InvoiceSettled,
            events.RefundProposed,
            events.RefundPaid,
        ],
        applies={
            events.PriceListPublished: applies.price_list_published,
            events.InvoiceIssued: applies.invoice_issued,
            events.InvoiceCredited: applies.invoice_credited,
            events.PaymentTaken: applies.payment_taken,
            events.InvoiceSettled: applies.invoice_settled,
            events.RefundProposed: applies.refund_proposed,
            events.RefundPaid: applies.refund_paid,
            BookingRejected: projections.booking_rejected,
            BookingCancelled: projections.booking_cancelled,
            NoShowReleased: projections.no_show_released,
        },
        rejected_as=events.CommandRejected,
        failed_as=events.CommandFailed,
    )
