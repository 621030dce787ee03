"""The page tells who says and hears what, what fields hold, and what answers a command, as the tables have it."""

import re
from typing import Annotated, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model

from bus import answers
from bus.fields import Code, Moment, Rounds, Text
from bus.message import Command, Event
from bus.service import Hears, Service
from ops.messages.conversation import conversation, of_this_code
from ops.messages.page import page
from ops.messages.shapes import described
from ops.messages.words import words


class Collar(BaseModel):
    """What a dog wears."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    number: Annotated[int, Field(gt=0, le=9999)]


class Feed(Command, name="kennel.feed", stream="dog:{dog}", about="dog"):
    """Feed a dog."""

    dog: UUID
    grams: int = Field(ge=1, le=2000, description="of dry food")
    treat: Code | None = None


class Walk(Command, name="kennel.walk", stream="dog:{dog}"):
    """Take a dog for a walk."""

    dog: UUID


class Tire(Command, name="kennel.tire", stream="dog:{dog}"):
    """Bring a dog home that has walked enough."""

    dog: UUID


class Fed(Event, name="kennel.fed", stream="dog:{dog}"):
    """A dog was fed."""

    dog: UUID
    collar: Collar


class Walked(Event, name="kennel.walked", stream="dog:{dog}", concludes="walk"):
    """A dog was taken for a walk.

    It is tired now.
    """

    dog: UUID
    walk: UUID


class Lost(Event, name="kennel.lost", stream="dog:{dog}", rejects="walk"):
    """A dog ran away."""

    dog: UUID
    walk: UUID


class Barked(Event, name="ears.barked", stream="ear:{ear}", topic="telemetry"):
    """Somebody barked."""

    ear: Text


class Refused(answers.CommandRejected, name="kennel.command-rejected", stream="{about}", rejects="command"):
    """The kennel refused."""


class Failed(answers.CommandFailed, name="kennel.command-failed", stream="{about}", fails="command"):
    """The kennel failed."""


class ShopRefused(answers.CommandRejected, name="shop.command-rejected", stream="{about}", rejects="command"):
    """The shop refused."""


class ShopFailed(answers.CommandFailed, name="shop.command-failed", stream="{about}", fails="command"):
    """The shop failed."""


LAST_EVENT = (
    "- Concluded by the last event that kennel says because of it; rejected by `kennel.command-rejected`; "
    "failed by `kennel.command-failed`."
)


async def ignored(connection, event):
    del connection, event


KENNEL = Service(
    name="kennel",
    hears=[Hears(Feed), Hears(Walk, leaves_open=True), Hears(Tire, leaves_open=True), Hears(Barked)],
    says=[Fed, Walked, Lost],
    applies={Fed: ignored, Barked: ignored},
    rejected_as=Refused,
    failed_as=Failed,
    asks_itself=[Tire],
)
SHOP = Service(
    name="shop",
    hears=[Hears(Fed)],
    says=[],
    applies={Walked: ignored},
    rejected_as=ShopRefused,
    failed_as=ShopFailed,
)
SPOKEN = {one.name: one for one in conversation([SHOP, KENNEL], ["kennel.feed", "kennel.walk", "ears.barked"])}


def section(name: str) -> list[str]:
    """The lines below a heading, blank ones left out."""
    text = page(list(SPOKEN.values())).partition(f"\n### {name}\n")[2]
    return [line for line in re.split(r"\n##", text)[0].splitlines() if line]


def test_each_services_own_messages_come_in_the_order_of_its_table_and_what_comes_from_outside_last():
    assert list(SPOKEN) == [
        *("shop.command-rejected", "shop.command-failed"),
        *("kennel.feed", "kennel.walk", "kennel.tire", "kennel.fed", "kennel.walked", "kennel.lost"),
        *("kennel.command-rejected", "kennel.command-failed", "ears.barked"),
    ]


def test_a_command_is_told_with_its_fields_and_what_answers_it():
    assert section("kennel.feed") == [
        "Feed a dog.",
        "Command, version 1, stream `dog:{dog}`. Its story is `dog`.",
        "- Said by gateway.",
        "- Kennel acts on it.",
        LAST_EVENT,
        "| field | holds |  |",
        "|---|---|---|",
        "| `dog` | UUID |  |",
        "| `grams` | integer, 1 to 2,000 | of dry food |",
        "| `treat` | [Code](#types) or null; `null` if absent |  |",
    ]


def test_a_command_that_is_left_open_is_answered_by_events_that_name_it():
    assert (
        "- Concluded by `kennel.walked`; rejected by `kennel.lost` or `kennel.command-rejected`; "
        "failed by `kennel.command-failed`." in section("kennel.walk")
    )
    assert "- It concludes the command that `walk` names." in section("kennel.walked")
    assert "- It rejects the command that `walk` names." in section("kennel.lost")


def test_what_a_service_asks_itself_for_another_commands_sake_answers_that():
    assert section("kennel.tire")[2:5] == [
        "- Said by kennel.",
        "- Kennel acts on it.",
        "- Kennel asks itself this; the event it leads to answers another command.",
    ]


@pytest.mark.parametrize(
    ("name", "said", "heard"),
    [
        ("kennel.fed", "Said by kennel.", "Shop acts on it."),
        ("kennel.walked", "Said by kennel.", "Shop notes it."),
        ("kennel.lost", "Said by kennel.", "No other service hears it."),
        ("ears.barked", "Said by gateway.", "Kennel acts on it."),
    ],
)
def test_who_says_and_who_hears_an_event(name, said, heard):
    assert f"- {said}" in section(name)
    assert f"- {heard}" in section(name)


def test_words_topic_and_parts_are_told():
    assert section("kennel.walked")[:2] == ["A dog was taken for a walk.", "It is tired now."]
    assert "Event, version 1, stream `ear:{ear}`. Topic `telemetry`." in section("ears.barked")
    assert "| `collar` | [Collar](#collar) |" in section("kennel.fed")
    assert section("Collar") == [
        "What a dog wears.",
        *("| field | holds |", "|---|---|", "| `number` | integer, more than 0, at most 9,999 |"),
    ]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (Text, "[Text](#types)"),
        (Annotated[Text, Field(max_length=40)], "text (1 to 40 characters)"),
        (Annotated[str, Field(min_length=2)], "text (at least 2 characters)"),
        (Annotated[str, Field(pattern="^a|b$")], "text like `^a|b$`"),
        (Moment, "[Moment](#types)"),
        (bool, "boolean"),
        (float | None, "number or null"),
        (Annotated[int, Field(le=5)], "integer, at most 5"),
        (Annotated[int, Field(gt=5)], "integer, more than 5"),
        (Literal["a", "b"], "one of `a`, `b`"),
        (Literal["a"], "one of `a`"),
        (tuple[Rounds, ...], "list of [Rounds](#types)"),
        (Annotated[tuple[Rounds, ...], Field(max_length=3)], "list (at most 3) of [Rounds](#types)"),
        (Annotated[dict[Code, int], Field(max_length=3)], "map (at most 3) from [Code](#types) to integer"),
    ],
    ids=lambda told: told if isinstance(told, str) else "",  # a type's own name tells its address
)
def test_what_a_field_holds_is_said_in_words(kind, told):
    schema, _ = described(create_model("Body", field=kind))
    assert words(schema["properties"]["field"]) == told


def test_every_link_inside_the_page_leads_to_a_heading():
    text = page(of_this_code())
    headings = {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"(?m)^#+ (.*)", text)}
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= headings
    assert "| Moment | moment, 1900-01-01 to 2200-01-01 | A point in time with its offset, kept as UTC. |" in text
