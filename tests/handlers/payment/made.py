"""Messages that payment's tests speak of."""

from handlers.armory.events import WeaponReserved
from handlers.booking.events import Terms
from handlers.payment.commands import PayRefund, PublishPriceList, TakePayment
from handlers.payment.events import InvoiceCredited, InvoiceIssued, Line, Method, PaymentTaken
from handlers.payment.model.prices import PriceList
from tests.handlers.armory.made import ANNA, CARLA, booking, terms
from tests.handlers.scenario import NOON

PRICES = PriceList(
    currency="EUR",
    version=3,
    tax_permille=200,
    lane_hour_minor=1800,
    weapon_minor={"air-rifle": 600, "loaner": 0},
    round_minor={"air": 5},
)
LANE = Line(
    item="lane",
    title="Lane lane-1, 60 minutes",
    quantity=1,
    unit_minor=1800,
    net_minor=1500,
    tax_minor=300,
    tax_permille=200,
)
WEAPON = Line(
    item="weapon",
    title="Weapon air-rifle",
    quantity=1,
    unit_minor=600,
    net_minor=500,
    tax_minor=100,
    tax_permille=200,
)
AMMUNITION = Line(
    item="ammunition",
    title="Cartridges, air",
    quantity=40,
    unit_minor=5,
    net_minor=167,
    tax_minor=33,
    tax_permille=200,
)


def reserved(what: Terms | None = None) -> WeaponReserved:
    what = what or terms()
    return WeaponReserved(booking=what.booking, terms=what)


def publish(
    currency: str = "EUR", *, lane_hour_minor: int = 1800, weapon_minor: int = 600, round_minor: int = 5
) -> PublishPriceList:
    return PublishPriceList(
        currency=currency,
        tax_permille=200,
        lane_hour_minor=lane_hour_minor,
        weapon_minor={"air-rifle": weapon_minor},
        round_minor={"air": round_minor},
    )


def take(amount_minor: int, number: int = 1, currency: str = "EUR", method: Method = "cash") -> TakePayment:
    return TakePayment(invoice=booking(number), amount_minor=amount_minor, currency=currency, method=method)


def refund(amount_minor: int, number: int = 1, currency: str = "EUR", method: Method = "cash") -> PayRefund:
    return PayRefund(invoice=booking(number), amount_minor=amount_minor, currency=currency, method=method)


def issued(what: Terms, *lines: Line, number: str = "2026-000042") -> InvoiceIssued:
    return InvoiceIssued(
        invoice=what.booking,
        booking=what.booking,
        person=ANNA,
        number=number,
        currency="EUR",
        lines=lines,
        net_minor=sum(line.net_minor for line in lines),
        tax_minor=sum(line.tax_minor for line in lines),
        total_minor=sum(line.quantity * line.unit_minor for line in lines),
        price_list_version=3,
        issued_at=NOON,
        terms=what,
    )


def credited() -> InvoiceCredited:
    return InvoiceCredited(
        invoice=booking(1),
        booking=booking(1),
        person=ANNA,
        number="C2026-000008",
        currency="EUR",
        lines=(LANE, WEAPON),
        net_minor=2000,
        tax_minor=400,
        total_minor=2400,
        refund_due_minor=600,
        credited_at=NOON,
    )


def taken(amount_minor: int) -> PaymentTaken:
    return PaymentTaken(
        invoice=booking(1),
        person=ANNA,
        payment=booking(9),
        amount_minor=amount_minor,
        currency="EUR",
        method="cash",
        taken_by=CARLA,
        taken_at=NOON,
    )
