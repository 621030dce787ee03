"""A change that would leave old messages unread is refused, unless a version and its upcasters come with it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner

from bus.errors import Refusal
from bus.message import Command, Event, Message
from ops.messages import command, pins
from ops.messages.conversation import of_this_code
from ops.messages.layout import laid_out
from ops.messages.page import page


class Sighted(Event, name="zoo.sighted", stream="animal:{animal}"):
    """An animal was seen."""

    animal: str
    feet: int


class SightedInMetres(Event, name="zoo.sighted", stream="animal:{animal}", version=2):
    """An animal was seen."""

    animal: str
    metres: float

    upcasts: ClassVar = {1: lambda body: {"animal": body["animal"], "metres": body["feet"] * 0.3048}}


class SightedOfABeast(Event, name="zoo.sighted", stream="animal:{beast}", version=2):
    """An animal was seen."""

    beast: str
    feet: int

    upcasts: ClassVar = {1: lambda body: {"beast": body["animal"], "feet": body["feet"]}}


class SightedBySomebody(Sighted, name="zoo.sighted", stream="animal:{animal}"):
    """An animal was seen."""

    by: str | None = None


def now(*messages: type[Message]) -> dict[str, pins.Pin]:
    return pins.pins_of(messages)


def changed(**changes: Any) -> dict[str, pins.Pin]:
    return {"zoo.sighted": replace(now(Sighted)["zoo.sighted"], **changes)}


def test_what_did_not_change_breaks_nothing():
    assert pins.breaks(now(Sighted), now(Sighted)) == []
    assert pins.widens(now(Sighted), now(Sighted)) == []


def test_a_new_message_breaks_nothing():
    assert pins.breaks({}, now(Sighted)) == []


def test_a_message_that_is_gone_is_refused():
    [finding] = pins.breaks(now(Sighted), {})
    assert finding.startswith("zoo.sighted is gone")


def test_a_breaking_change_without_a_version_is_refused():
    class SightedAt(Event, name="zoo.sighted", stream="animal:{animal}"):
        """An animal was seen."""

        animal: str
        metres: float

    assert pins.breaks(now(Sighted), now(SightedAt)) == [
        "zoo.sighted (version 1) `feet`: the field is not read",
        "zoo.sighted (version 1) `metres`: the field is required",
    ]


def test_a_version_without_an_upcaster_is_refused():
    class SightedAt(Event, name="zoo.sighted", stream="animal:{animal}", version=3):
        """An animal was seen."""

        animal: str
        metres: float

        upcasts: ClassVar = {2: dict}

    assert pins.breaks(now(Sighted), now(SightedAt)) == ["zoo.sighted has version 3 and no upcaster from 1."]


def test_a_version_with_its_upcaster_is_taken():
    assert pins.breaks(now(Sighted), now(SightedInMetres)) == []
    assert pins.widens(now(Sighted), now(SightedInMetres)) == []


def test_an_upcaster_may_not_go_once_it_is_needed():
    class SightedAt(SightedInMetres, name="zoo.sighted", version=2):
        """An animal was seen."""

        upcasts: ClassVar = {}

    assert pins.breaks(now(SightedInMetres), now(SightedAt)) == ["zoo.sighted has version 2 and no upcaster from 1."]


def test_an_upcaster_from_a_version_that_is_not_older_is_refused():
    [finding] = pins.breaks(changed(), changed(upcasts={1}))
    assert finding == "zoo.sighted has an upcaster from 1, which is no older version."


def test_an_older_version_than_the_logs_is_refused():
    [finding, *_] = pins.breaks(now(SightedInMetres), now(Sighted))
    assert finding == "zoo.sighted had version 2 and has 1: the log holds newer ones."


@pytest.mark.parametrize("changes", [{"kind": "command"}, {"topic": "telemetry"}, {"stream": "beast:{animal}"}])
@pytest.mark.parametrize("version", [1, 2])
def test_no_version_makes_up_for_another_kind_topic_or_stream(changes, version):
    shape = now(Sighted)["zoo.sighted"].shapes[1]
    present = changed(**changes, version=version, shapes={version: shape}, upcasts=range(1, version))
    [finding] = pins.breaks(changed(), present)
    assert finding.endswith("so this needs a name of its own.")


def test_a_stream_of_another_field_is_refused():
    [finding] = pins.breaks(changed(), changed(stream="animal:{feet}"))
    assert "'animal:{animal}'" in finding


def test_a_new_version_may_rename_the_field_that_names_the_stream():
    assert pins.breaks(now(Sighted), now(SightedOfABeast)) == []


def test_what_is_read_by_new_code_alone_is_told_but_taken():
    assert pins.breaks(now(Sighted), now(SightedBySomebody)) == []
    assert pins.widens(now(Sighted), now(SightedBySomebody)) == ["zoo.sighted (version 1) `by`: the field is not read"]


def test_older_shapes_stay_pinned_when_the_version_grows():
    renewed = pins.renewed(now(Sighted), now(SightedInMetres))
    assert renewed["zoo.sighted"].version == 2
    assert renewed["zoo.sighted"].shapes == {**_shapes(Sighted), **_shapes(SightedInMetres)}
    assert pins.renewed(renewed, now(SightedInMetres)) == renewed


def _shapes(message: type[Message]) -> Mapping[int, Any]:
    return pins.pins_of([message])[message.name].shapes


def test_pins_are_read_as_they_were_written():
    class Feed(Command, name="zoo.feed", stream="animal:{animal}", about="animal", topic="telemetry"):
        """Feed an animal."""

        animal: str

    class Fed(Event, name="zoo.fed", stream="animal:{animal}", concludes="animal"):
        """An animal was fed."""

        animal: str

    every = pins.renewed(now(Sighted), now(Feed, Fed, SightedInMetres))
    assert pins.read(pins.written(every)) == every


def test_a_field_of_a_pin_is_a_line():
    assert '\n  "shapes": {\n   "1": {\n    "additionalProperties": false,\n' in pins.written(now(Sighted))
    assert laid_out({"a": [1, {"b": "x" * 200}]}) == '{\n "a": [\n  1,\n  {\n   "b": "' + "x" * 200 + '"\n  }\n ]\n}\n'


def test_files_are_written_once_and_only_in_a_checkout(tmp_path):
    with pytest.raises(Refusal, match="checkout"):
        command.refresh(tmp_path)
    (tmp_path / "tests/house").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    assert command.refresh(tmp_path) == [
        f"Written: {file}" for file in (command.PINNED, command.PAGE, command.DOCUMENT)
    ]
    assert command.refresh(tmp_path) == ["All is up to date."]


def test_what_would_break_is_told_and_nothing_is_written(tmp_path):
    (tmp_path / "tests/house").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    before = pins.written(now(Sighted))
    (tmp_path / command.PINNED).write_text(before)
    with pytest.raises(Refusal, match=r"zoo\.sighted is gone"):
        command.refresh(tmp_path)
    assert (tmp_path / command.PINNED).read_text() == before
    assert not (tmp_path / command.PAGE).exists()


def test_the_command_tells_every_message():
    told = CliRunner().invoke(command.messages, [])
    assert told.exit_code == 0
    assert told.output == page(of_this_code())
