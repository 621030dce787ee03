"""The AsyncAPI document is one: only what AsyncAPI 3.0.0 knows, references that lead somewhere, schemas that hold."""

import json
import re
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ops.messages import asyncapi
from ops.messages.conversation import of_this_code
from ops.messages.shapes import shape
from tests.house.bodies import bodies

SPOKEN = of_this_code()
DOCUMENT: dict[str, Any] = json.loads(asyncapi.document(SPOKEN))
NAME = re.compile(r"[A-Za-z0-9._-]+")


class Part(BaseModel):
    """What the specification knows of an object; an extension (`x-…`) may stand anywhere."""

    model_config = ConfigDict(strict=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def without_extensions(cls, value: Any) -> Any:
        return {key: one for key, one in value.items() if not re.fullmatch(r"x-[\w.-]+", key)}


class Reference(Part):
    to: str = Field(alias="$ref", pattern="^#/")


class Tag(Part):
    name: str
    description: str | None = None


class Info(Part):
    title: str
    version: str
    description: str | None = None
    tags: list[Tag] = []


class Parameter(Part):
    description: str | None = None
    enum: list[str] | None = None
    location: str | None = Field(None, pattern=r"^\$message\.(header|payload)#(/\w+)+$")


class Channel(Part):
    address: str | None
    title: str | None = None
    description: str | None = None
    messages: dict[str, Reference] = Field(min_length=1)
    parameters: dict[str, Parameter] = {}


class Operation(Part):
    action: Literal["send", "receive"]
    channel: Reference
    title: str | None = None
    description: str | None = None
    tags: list[Tag] = []
    messages: list[Reference] = Field(min_length=1)


class CorrelationId(Part):
    location: str = Field(pattern=r"^\$message\.(header|payload)#(/\w+)+$")


class MessageTrait(Part):
    headers: Reference | None = None


class Message(Part):
    name: str
    title: str
    summary: str
    description: str | None = None
    tags: list[Tag] = []
    correlation: CorrelationId = Field(alias="correlationId")
    payload: Reference
    traits: list[Reference] = []


class Components(Part):
    messages: dict[str, Message]
    schemas: dict[str, dict[str, Any]]
    traits: dict[str, MessageTrait] = Field(alias="messageTraits")


class Document(Part):
    asyncapi: Literal["3.0.0"]
    info: Info
    content_type: Literal["application/json"] = Field(alias="defaultContentType")
    channels: dict[str, Channel]
    operations: dict[str, Operation]
    components: Components


WHOLE = Document.model_validate(DOCUMENT)


def referred(value: Any) -> Iterator[dict[str, Any]]:
    """Every object that refers to another."""
    if isinstance(value, dict):
        if "$ref" in value:
            yield value
        for one in value.values():
            yield from referred(one)
    elif isinstance(value, list):
        for one in value:
            yield from referred(one)


def found(reference: str) -> Any:
    value = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        value = value[step]
    return value


def test_what_the_specification_does_not_know_is_noticed():
    broken = json.loads(asyncapi.document(SPOKEN))
    broken["channels"]["booking.booking"]["adress"] = "booking:{booking}"
    with pytest.raises(ValidationError, match="adress"):
        Document.model_validate(broken)


def test_names_are_such_as_references_may_have():
    names = [*WHOLE.channels, *WHOLE.operations, *WHOLE.components.messages, *WHOLE.components.schemas]
    assert [name for name in names if not NAME.fullmatch(name)] == []


def test_every_reference_leads_somewhere_and_stands_alone():
    references = list(referred(DOCUMENT))
    assert len(references) > 200
    for one in references:
        assert list(one) == ["$ref"], "what stands beside a reference is not read"
        assert found(one["$ref"])


def test_a_channel_is_a_stream_with_the_fields_that_name_it():
    for channel in WHOLE.channels.values():
        assert channel.address is not None
        assert set(re.findall(r"\{(\w+)\}", channel.address)) == set(channel.parameters)
        for name, parameter in channel.parameters.items():
            assert parameter.location == f"$message.payload#/{name}"
            for message in channel.messages.values():
                payload = found(found(message.to)["payload"]["$ref"])
                assert name in payload["required"]


def test_an_operation_has_messages_of_its_own_channel():
    for name, operation in WHOLE.operations.items():
        assert name.startswith(f"{operation.tags[0].name}-{operation.action}s-")
        for message in operation.messages:
            assert message.to.startswith(f"{operation.channel.to}/messages/")


@pytest.mark.parametrize("one", SPOKEN, ids=lambda one: one.name)
def test_every_message_is_sent_and_received_by_those_who_say_and_hear_it(one):
    doing = {
        (operation.tags[0].name, operation.action)
        for operation in WHOLE.operations.values()
        if any(message.to.endswith(f"/messages/{one.name}") for message in operation.messages)
    }
    hearers = {*one.decided_by, *one.kept_by}
    assert doing == {(name, "send") for name in one.said_by} | {(name, "receive") for name in hearers}


@pytest.mark.parametrize("one", SPOKEN, ids=lambda one: one.name)
def test_a_payloads_schema_takes_what_the_message_takes(one):
    schema = {**DOCUMENT, "$ref": f"#/components/schemas/{one.name}"}
    Draft7Validator.check_schema(DOCUMENT["components"]["schemas"][one.name])

    @settings(max_examples=3, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck])
    @given(st.data())
    def taken(data: st.DataObject) -> None:
        body = data.draw(bodies(shape(one.message)))
        Draft7Validator(schema).validate(body)
        assert not Draft7Validator(schema).is_valid(body | {"colour": "grey"})

    taken()


def test_the_envelope_is_the_logs():
    schema = DOCUMENT["components"]["schemas"][asyncapi.ENVELOPE]
    assert {"position", "id", "correlation", "cause", "actor", "at", "schema"} <= schema["properties"].keys()
    assert "body" not in schema["properties"]
