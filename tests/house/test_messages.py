"""What all messages have in common: a name of their own, one writer for each kind of stream, bounds on every text."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from bus.message import Command, Message
from handlers.wiring import SERVICES, asked_from_outside

BOUNDED = {"maxLength", "pattern", "format", "enum", "const"}


def kind_of(message: type[Message]) -> str:
    return message.stream_template.partition(":")[0]


def test_each_kind_of_stream_is_written_and_asked_of_one_service():
    """The log refuses a second writer; a service's refusal of a command stands in the command's own stream."""
    writers: defaultdict[str, set[str]] = defaultdict(set)
    for name, make in SERVICES.items():
        service = make()
        commands = [row.message for row in service.hears if issubclass(row.message, Command)]
        for message in (*service.says, *commands, *service.asks_itself):
            writers[kind_of(message)].add(name)
    assert {kind: names for kind, names in writers.items() if len(names) > 1} == {}


def test_each_command_is_heard_by_one_service():
    heard = [row.message for make in SERVICES.values() for row in make().hears if issubclass(row.message, Command)]
    assert sorted(one.name for one in heard) == sorted({one.name for one in heard})


def test_what_a_service_asks_itself_it_hears():
    for make in SERVICES.values():
        service = make()
        assert set(service.asks_itself) <= {row.message for row in service.hears}


def texts(schema: Any) -> Iterator[dict[str, Any]]:
    """Every string in a JSON schema."""
    if isinstance(schema, dict):
        if schema.get("type") == "string":
            yield schema
        for part in schema.values():
            yield from texts(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from texts(part)


@pytest.mark.parametrize("command", asked_from_outside(), ids=lambda command: command.name)
def test_every_text_that_a_client_may_send_is_bounded(command):
    assert [text for text in texts(command.model_json_schema()) if not BOUNDED & text.keys()] == []
