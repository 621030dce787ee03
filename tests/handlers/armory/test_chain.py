"""Whatever is done to a custody book afterwards is found, at its first entry that is not as it was."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from handlers.armory.events import WeaponIssued, WeaponReturned
from handlers.armory.model.chain import BEGINNING, Entry, Handed, Link, entry_of, first_broken, first_untold, linked
from tests.handlers.armory.made import ANNA, BORIS, CARLA, booking, weapon
from tests.handlers.scenario import NOON


def handed(number: int) -> Handed:
    at = NOON + number * timedelta(minutes=1)
    if number % 2:
        return WeaponIssued(
            weapon=weapon(1), booking=booking(number), handed_to=ANNA, handed_by=CARLA, rounds=40, issued_at=at
        )
    return WeaponReturned(
        weapon=weapon(1),
        booking=booking(number - 1),
        returned_by=ANNA,
        taken_by=CARLA,
        rounds_returned=number,
        rounds_fired=40 - number,
        returned_at=at,
    )


def book_of(told: list[Handed]) -> list[Link]:
    book, previous = [], BEGINNING
    for number, event in enumerate(told, start=1):
        entry = entry_of(event, number)
        previous = linked(previous, entry)
        book.append(Link(entry, previous))
    return book


books = st.integers(2, 9).map(lambda many: [handed(number) for number in range(1, many + 1)])
edits: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"kind": "correction"},
        {"booking": booking(99)},
        {"from_person": BORIS},
        {"to_person": BORIS},
        {"rounds": 41},
        {"at": NOON - timedelta(microseconds=1)},
        {"corrects": 1},
        {"reason": "wrong-rounds"},
        {"weapon": weapon(9)},
    ]
)


@given(books)
def test_a_book_as_it_was_written_is_whole(told: list[Handed]) -> None:
    assert first_broken(book_of(told)) is None
    assert first_untold(book_of(told), told) is None


@given(books, st.data())
def test_an_entry_that_was_changed_is_named(told: list[Handed], data: st.DataObject) -> None:
    book = book_of(told)
    place = data.draw(st.integers(0, len(book) - 1))
    book[place] = Link(replace(book[place].entry, **data.draw(edits)), book[place].hash)
    broken, untold = first_broken(book), first_untold(book, told)
    assert broken is not None
    assert untold is not None
    assert broken.entry == untold.entry == place + 1


@given(books, st.data())
def test_entries_that_changed_places_are_named(told: list[Handed], data: st.DataObject) -> None:
    book = book_of(told)
    first = data.draw(st.integers(0, len(book) - 2))
    second = data.draw(st.integers(first + 1, len(book) - 1))
    one, other = book[first], book[second]
    book[first] = Link(replace(other.entry, entry=first + 1), other.hash)
    book[second] = Link(replace(one.entry, entry=second + 1), one.hash)
    broken = first_broken(book)
    assert broken is not None
    assert broken.entry == first + 1


@given(books, st.data())
def test_an_entry_taken_out_is_named_and_a_tail_by_the_log(told: list[Handed], data: st.DataObject) -> None:
    book = book_of(told)
    place = data.draw(st.integers(0, len(book) - 1))
    del book[place]
    broken, untold = first_broken(book), first_untold(book, told)
    assert (broken.entry if broken else None) == (place + 1 if place < len(book) else None)
    assert untold is not None
    assert untold.entry == place + 1


@given(books)
def test_a_chain_that_was_written_anew_as_a_whole_is_found_by_the_log(told: list[Handed]) -> None:
    other = [handed(1).model_copy(update={"rounds": 39}), *told[1:]]
    assert first_broken(book_of(other)) is None
    untold = first_untold(book_of(other), told)
    assert untold is not None
    assert untold.entry == 1


def test_the_way_an_entry_is_written_down_never_changes() -> None:
    entry = Entry(weapon(1), 1, "issue", booking(1), CARLA, ANNA, 40, NOON)
    assert linked(BEGINNING, entry).hex() == "02226d7b881fd6b858c18cead85e6a666c923fb9275029a7e0ae3645425a14d6"
