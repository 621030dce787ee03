"""Price lists, and what a booking costs by one: every price contains its tax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from bus.errors import Rejected
from bus.message import Event
from bus.service import Given
from handlers.payment.commands import PublishPriceList
from handlers.payment.events import Line, PriceListPublished

HOUR: Final = timedelta(hours=1)
MICROSECOND: Final = timedelta(microseconds=1)
LARGEST_MINOR: Final = 10**12  # what an amount in a message can be


@dataclass(frozen=True, slots=True)
class PriceList:
    """What things cost, in minor units of the currency: weapons by type, cartridges by weapon class."""

    currency: str
    version: int
    tax_permille: int
    lane_hour_minor: int
    weapon_minor: Mapping[str, int]
    round_minor: Mapping[str, int]


class Booked(Protocol):
    """What was booked, as far as it costs."""

    @property
    def lane(self) -> str: ...
    @property
    def starts_at(self) -> datetime: ...
    @property
    def ends_at(self) -> datetime: ...
    @property
    def weapon_class(self) -> str: ...
    @property
    def weapon_type(self) -> str | None: ...
    @property
    def rounds(self) -> int: ...


class NoPriceList(Rejected):
    """The range has no price list yet, so nothing can be booked."""


class WeaponWithoutPrice(Rejected):
    """The price list names no price for the weapon {weapon_type}."""


class RoundsWithoutPrice(Rejected):
    """The price list names no price for {weapon_class} cartridges."""


class BeyondOneInvoice(Rejected):
    """The booking costs more than one invoice can say."""


def half_up(numerator: int, denominator: int) -> int:
    """A quotient that is not negative, rounded to the nearest whole number; from the middle, up."""
    return (2 * numerator + denominator) // (2 * denominator)


def priced(item: str, title: str, quantity: int, unit_minor: int, tax_permille: int) -> Line:
    """A line; its tax is what is contained in quantity times unit price, rounded half up on this line."""
    gross_minor = quantity * unit_minor
    tax_minor = half_up(gross_minor * tax_permille, 1000 + tax_permille)
    return Line(
        item=item,
        title=title,
        quantity=quantity,
        unit_minor=unit_minor,
        net_minor=gross_minor - tax_minor,
        tax_minor=tax_minor,
        tax_permille=tax_permille,
    )


def lane_minor(prices: PriceList, duration: timedelta) -> int:
    """What a lane costs for a time, in proportion to the hour, rounded half up."""
    return half_up(prices.lane_hour_minor * (duration // MICROSECOND), HOUR // MICROSECOND)


def quote(prices: PriceList, booked: Booked) -> tuple[Line, ...] | Rejected:
    """The lines of a booking's invoice, or why it cannot be invoiced."""
    duration = booked.ends_at - booked.starts_at
    parts = [("lane", f"Lane {booked.lane}, {duration / HOUR * 60:g} minutes", 1, lane_minor(prices, duration))]
    if booked.weapon_type is not None:
        if booked.weapon_type not in prices.weapon_minor:
            return WeaponWithoutPrice(weapon_type=booked.weapon_type)
        unit_minor = prices.weapon_minor[booked.weapon_type]
        parts.append(("weapon", f"Weapon {booked.weapon_type}", 1, unit_minor))
    if booked.rounds:
        if booked.weapon_class not in prices.round_minor:
            return RoundsWithoutPrice(weapon_class=booked.weapon_class)
        unit_minor = prices.round_minor[booked.weapon_class]
        parts.append(("ammunition", f"Cartridges, {booked.weapon_class}", booked.rounds, unit_minor))
    if sum(quantity * unit_minor for _, _, quantity, unit_minor in parts) > LARGEST_MINOR:
        return BeyondOneInvoice()
    return tuple(priced(*part, prices.tax_permille) for part in parts)


def publish_price_list(last: int | None, asked: PublishPriceList, _given: Given) -> Sequence[Event]:
    """The currency's next version; `last` is the one before."""
    return [PriceListPublished(price_list_version=(last or 0) + 1, **asked.model_dump())]
