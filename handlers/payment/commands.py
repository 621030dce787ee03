"""What payment can be asked."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from bus.fields import Code, Currency, Minor
from bus.message import Command
from handlers.payment.events import Method


class PublishPriceList(Command, name="payment.publish-price-list", stream="price-list:{currency}"):
    """Let new prices hold from now on: a lane by the hour, weapons by type, cartridges by weapon class."""

    currency: Currency
    tax_permille: int = Field(ge=0, le=1000)
    lane_hour_minor: Minor = Field(ge=0)
    weapon_minor: dict[Code, Minor] = Field(max_length=500)
    round_minor: dict[Code, Minor] = Field(max_length=500)


class TakePayment(Command, name="payment.take-payment", stream="invoice:{invoice}", about="invoice"):
    """Take money for an invoice at the desk."""

    invoice: UUID
    amount_minor: Minor = Field(gt=0)
    currency: Currency
    method: Method


class PayRefund(Command, name="payment.pay-refund", stream="invoice:{invoice}", about="invoice"):
    """Pay back what is owed on a credited invoice."""

    invoice: UUID
    amount_minor: Minor = Field(gt=0)
    currency: Currency
    method: Method
