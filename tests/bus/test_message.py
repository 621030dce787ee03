"""Messages: bodies are strict, old shapes are understood, names mean one thing."""

import json
from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID

import pytest
from pydantic import TypeAdapter, ValidationError

from bus.errors import Rejected, UnknownMessage
from bus.fields import Code, Minor, Moment, Text
from bus.message import Catalogue, Command, Envelope, Event, JsonObject
from bus.service import Given

ID = UUID("0192f0c1-2f6e-7d2a-9b1c-3a5d7e9f1b2d")
OTHER = UUID("0192f0c1-2f6e-7d2a-9b1c-3a5d7e9f1b2e")


class Sighted(Event, name="test.sighted", stream="animal:{animal}", version=3, concludes="command"):
    """An animal was seen."""

    animal: str
    metres: float
    seen_by: str
    command: UUID

    upcasts: ClassVar = {
        1: lambda body: {**{name: body[name] for name in body if name != "feet"}, "metres": body["feet"] * 0.3048},
        2: lambda body: body | {"seen_by": "nobody"},
    }


class Feed(Command, name="test.feed", stream="animal:{animal}", about="visit"):
    """Feed it."""

    animal: Code
    visit: UUID
    grams: int
    pieces: Minor
    at: Moment
    remark: Text


FED = {
    "animal": "lynx",
    "visit": str(ID),
    "grams": 5,
    "pieces": 3,
    "at": "2026-05-01T10:00:00+02:00",
    "remark": "hungry",
}


def feed(**changes: object) -> Feed:
    return Feed.read(1, json.dumps(FED | changes))


def test_a_body_says_what_it_is_about_and_which_story_it_belongs_to():
    assert feed().stream == "animal:lynx"
    assert feed().correlation(OTHER) == ID
    assert Sighted(animal="lynx", metres=1.0, seen_by="x", command=ID).correlation(OTHER) == OTHER


def test_moments_are_kept_as_utc():
    assert feed().at == datetime(2026, 5, 1, 8, tzinfo=UTC)
    assert feed().at.tzinfo is UTC


@pytest.mark.parametrize(
    "changes",
    [
        {"grams": True},
        {"grams": "5"},
        {"grams": "1_0"},
        {"grams": 5.0},
        {"grams": None},
        {"pieces": 10**13},
        {"animal": "Lynx"},
        {"animal": ""},
        {"animal": "a\x00b"},
        {"remark": "a\x00b"},
        {"remark": "  "},
        {"remark": "x" * 501},
        {"at": "2026-05-01T10:00:00"},
        {"at": "2026-05-01"},
        {"at": 1_777_000_000},
        {"at": "9999-12-31T23:59:59Z"},
        {"at": "0001-01-01T00:00:00Z"},
        {"visit": "not-an-id"},
        {"colour": "grey"},
    ],
    ids=repr,
)
def test_a_body_that_is_not_exactly_as_agreed_is_refused(changes):
    with pytest.raises(ValidationError):
        feed(**changes)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", '"nan"', '"1.5"', "true"])
def test_a_number_that_is_none_is_refused(number):
    body = f'{{"animal": "lynx", "metres": {number}, "seen_by": "x", "command": "{ID}"}}'
    with pytest.raises(ValidationError):
        Sighted.read(3, body)


def test_a_missing_field_is_refused():
    with pytest.raises(ValidationError):
        Feed.read(1, json.dumps({name: value for name, value in FED.items() if name != "grams"}))


def test_a_lone_surrogate_never_becomes_a_message():
    with pytest.raises(ValidationError):
        Feed.read(1, json.dumps(FED | {"remark": "\ud800"}))


def test_messages_cannot_be_changed():
    with pytest.raises(ValidationError):
        feed().grams = 6  # type: ignore[misc]  # that is what is refused


def test_what_is_written_is_read_back():
    assert Feed.read(1, feed().model_dump_json()) == feed()


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        (1, {"animal": "lynx", "feet": 10, "command": str(ID)}),
        (2, {"animal": "lynx", "metres": 3.048, "command": str(ID)}),
        (3, {"animal": "lynx", "metres": 3.048, "seen_by": "nobody", "command": str(ID)}),
    ],
)
def test_an_older_shape_is_brought_up_step_by_step(schema, body: JsonObject):
    read = Sighted.read(schema, json.dumps(body))
    assert read == Sighted(animal="lynx", metres=3.048, seen_by="nobody", command=ID)


def test_an_older_shape_that_is_wrong_is_refused_after_its_steps():
    with pytest.raises(ValidationError):
        Sighted.read(1, json.dumps({"animal": 5, "feet": 10, "command": str(ID)}))


def test_a_newer_shape_waits_for_newer_code():
    with pytest.raises(UnknownMessage, match="schema 4; this code knows up to 3"):
        Sighted.read(4, "{}")


def test_a_subclass_has_its_own_name_and_version_and_what_it_answers():
    class Refused(Sighted, name="test.refused", stream="refusal:{animal}", rejects="command"):
        """The animal would not be seen."""

    assert (Refused.name, Refused.version, Refused.concludes, Refused.rejects) == ("test.refused", 1, None, "command")
    assert (Sighted.name, Sighted.version, Sighted.concludes, Sighted.rejects) == ("test.sighted", 3, "command", None)


def test_the_catalogue_knows_each_name_once():
    catalogue = Catalogue([Feed, Sighted, Feed])
    assert catalogue.names == ["test.feed", "test.sighted"]
    assert catalogue["test.feed"] is Feed
    assert catalogue.get("test.fed") is None


def test_one_name_for_two_messages_is_refused():
    class Other(Event, name="test.feed", stream="x"):
        """Something else."""

    with pytest.raises(ValueError, match=r"test\.feed names both Feed and .*Other"):
        Catalogue([Feed, Other])


def envelope(name: str, body: str) -> Envelope:
    return Envelope(1, "domain", 0, 1, 1, ID, None, ID, None, None, datetime.now(UTC), name, "s", "person:x", body)


def test_the_catalogue_reads_what_it_knows_and_says_what_it_does_not():
    catalogue = Catalogue([Feed])
    received = catalogue.read(envelope("test.feed", json.dumps(FED)))
    assert received.message == feed()
    with pytest.raises(UnknownMessage, match=r"test\.new is no message"):
        catalogue.read(envelope("test.new", "{}"))


def test_a_rejection_speaks_in_its_own_sentence():
    class LaneTaken(Rejected):
        """Lane {lane} is taken.

        More about it.
        """

        version = 2

    rejected = LaneTaken(lane="lane-3")
    assert (rejected.rule, rejected.version, rejected.reason) == ("lane-taken", 2, "Lane lane-3 is taken.")


def test_only_a_person_is_a_person():
    at = datetime.now(UTC)
    assert Given(at, ID, ID, f"person:{OTHER}").person == OTHER
    assert Given(at, ID, ID, "device:lane-3").person is None


@pytest.mark.parametrize(
    "written", ["1700000000", "1700000000.5", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "now"]
)
def test_a_time_is_written_out_with_its_offset(written: str):
    with pytest.raises(ValidationError):
        TypeAdapter(Moment).validate_json(json.dumps(written), strict=True)


def test_a_time_is_kept_in_utc_and_within_the_calendar_we_use():
    read = TypeAdapter(Moment).validate_json('"2026-01-01T03:00:00+03:00"')
    assert read.isoformat() == "2026-01-01T00:00:00+00:00"
    with pytest.raises(ValidationError):
        TypeAdapter(Moment).validate_json('"1800-01-01T00:00:00Z"')
