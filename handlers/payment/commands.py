"""What payment can be asked."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field

from bus.fields import Code, Currency
from bus.message import Command
from handlers.payment.events import Method

Price = Annotated[int, Field(ge=0, le=10**8)]
"""A price in the currency's minor unit (cents), tax contained."""

Amount = Annotated[int, Field(gt=0, le=10**12)]
"""Money that changes hands, in the currency's minor unit (cents)."""


class PublishPriceList(Command, name="payment.publish-price-list", stream="price-list:{currency}"):
    """Let new prices hold from now on: a lane by the hour, weapons by type, cartridges by weapon class."""

    currency: Currency
    tax_permille: int = Field(ge=0, le=1000)
    lane_hour_minor: Price
    weapon_minor: dict[Code, Price] = Field(max_length=500)
    round_minor: dict[Code, Price] = Field(max_length=500)


class TakePayment(Command, name="payment.take-payment", stream="invoice:{invoice}", about="invoice"):
    """Take money for an invoice at the desk."""

    invoice: UUID
    amount_minor: Amount
    currency: Currency
    method: Method


class PayRefund(Command, name="payment.pay-refund", stream="invoice:{invoice}", about="invoice"):
    """Pay back what is owed on a credited invoice."""

    invoice: UUID
    amount_minor: Amount
    currency: Currency
    method: Method
