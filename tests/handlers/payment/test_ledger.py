from handlers.payment.model.ledger import Booked, legs
from tests.handlers.armory.made import ANNA, terms
from tests.handlers.payment.made import AMMUNITION, LANE, WEAPON, credited, issued, taken


def booked(event: Booked) -> dict[str, int]:
    return {leg.account: leg.amount_minor for leg in legs(event)}


def test_an_invoice_is_owed_by_the_shooter_and_earned_by_what_was_sold() -> None:
    assert booked(issued(terms(), LANE, WEAPON, AMMUNITION)) == {
        f"receivable:{ANNA}": 2600,
        "revenue:lane": -1500,
        "revenue:weapon": -500,
        "revenue:ammunition": -167,
        "tax-payable": -433,
    }


def test_a_credit_note_takes_back_what_was_open_and_owes_what_was_paid() -> None:
    assert booked(credited()) == {
        "revenue:lane": 1500,
        "revenue:weapon": 500,
        "tax-payable": 400,
        f"receivable:{ANNA}": -1800,
        f"customer-credit:{ANNA}": -600,
    }


def test_money_comes_in_against_the_debt_and_goes_out_against_the_credit() -> None:
    assert booked(taken(600)) == {"cash": 600, f"receivable:{ANNA}": -600}
    assert booked(taken(1).model_copy(update={"method": "card-terminal"})) == {
        "card-clearing": 1,
        f"receivable:{ANNA}": -1,
    }
