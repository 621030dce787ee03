"""The messages on the log are pinned: old ones stay readable, and the documents made from the code are up to date."""

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import handlers
from bus.message import Message
from ops.messages import pins
from ops.messages.command import PINNED, ROOT, made
from ops.messages.conversation import of_this_code
from tests.house.bodies import bodies

WRITE = "run `firingline messages --write` (docs/messages.md says how messages change)"
SPOKEN = {one.name: one for one in of_this_code()}
NOW = pins.pins_of(one.message for one in SPOKEN.values())


@pytest.fixture(scope="module")
def pinned() -> dict[str, pins.Pin]:
    return pins.read((ROOT / PINNED).read_text())


def test_nothing_that_the_log_may_hold_becomes_unreadable(pinned):
    assert pins.breaks(pinned, NOW) == []


def test_what_is_made_from_the_code_is_up_to_date(pinned):
    stale = [
        str(file)
        for file, text in made(pins.renewed(pinned, NOW)).items()
        if not (ROOT / file).exists() or (ROOT / file).read_text() != text
    ]
    assert stale == [], WRITE


@pytest.mark.parametrize("name", sorted(NOW))
def test_bodies_of_every_pinned_version_are_read_and_written_again_in_the_present_shape(name):
    message = SPOKEN[name].message
    shapes = pins.read((ROOT / PINNED).read_text())[name].shapes
    present = Draft202012Validator(pins.pins_of([message])[name].shapes[message.version])

    @settings(
        max_examples=6,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.data())
    def are_read(data: st.DataObject) -> None:
        version = data.draw(st.sampled_from(sorted(shapes)))
        read = message.read(version, json.dumps(data.draw(bodies(dict(shapes[version])))))
        present.validate(json.loads(read.model_dump_json()))

    are_read()


def defined() -> Iterator[type[Message]]:
    """Every message class with a wire name that the services' modules of commands and events define."""
    for module in pkgutil.walk_packages(handlers.__path__, "handlers."):
        if module.name.endswith((".commands", ".events")):
            importlib.import_module(module.name)
    waiting: list[type[Message]] = [Message]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.name and kind.__module__.startswith("handlers."):
            yield kind


def test_every_message_is_in_a_services_table():
    assert {kind.name for kind in defined()} == set(NOW)


@pytest.mark.parametrize("name", sorted(NOW))
def test_a_message_is_named_and_told_as_the_house_has_it(name):
    one = SPOKEN[name]
    assert re.fullmatch(r"[a-z]+\.[a-z]+(-[a-z]+)*", name)
    assert (one.message.__doc__ or "").strip().endswith("."), "a sentence that a shooter understands"
    assert one.said_by, "somebody says it"
    assert not one.is_command or one.decided_by == (one.owner,), "the one service that may grant it"


@pytest.mark.parametrize("name", sorted(NOW))
def test_what_a_message_is_about_is_always_in_its_body(name):
    message = SPOKEN[name].message
    shape = NOW[name].shapes[message.version]
    named = re.findall(r"\{([^}]*)\}", message.stream_template)
    named += [field for field in (message.story_field,) if field is not None]
    assert named
    assert set(named) <= set(shape["required"])
