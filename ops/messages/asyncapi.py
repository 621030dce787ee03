"""`docs/asyncapi.json`: every message for machines, as AsyncAPI 3.0.0, made from the code.

A channel is a kind of stream: its address is the stream's template. A service sends and receives on channels.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, get_type_hints

from bus.message import Envelope
from ops.messages.conversation import GATEWAY, Spoken
from ops.messages.layout import laid_out
from ops.messages.shapes import Json, described, shape_of_type

ABOUT: Final = (
    "Everything that is said on Firingline's log, one append-only table in PostgreSQL. A channel is a kind of stream; "
    "order is promised inside a stream. messages.md beside this file says the same for people, and how messages change."
)
ENVELOPE: Final = "envelope"
FIELD: Final = re.compile(r"\{([^}]*)\}")
BETWEEN_NAMES: Final = re.compile(r"[^\w-]+")


def document(spoken: Sequence[Spoken]) -> str:
    """The whole document, as text."""
    content = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Firingline",
            "version": "1",
            "description": ABOUT,
            "tags": [{"name": name} for name in _processes(spoken)],
        },
        "defaultContentType": "application/json",
        "channels": _channels(spoken),
        "operations": _operations(spoken),
        "components": {
            "messages": {one.name: _message(one) for one in spoken},
            "schemas": _schemas(spoken),
            "messageTraits": {ENVELOPE: {"headers": {"$ref": "#/components/schemas/envelope"}}},
        },
    }
    return laid_out(content)


def _processes(spoken: Sequence[Spoken]) -> list[str]:
    names = (name for one in spoken for name in (*one.said_by, *one.decided_by, *one.kept_by))
    return list(dict.fromkeys((GATEWAY, *names)))


def _channel(template: str) -> str:
    """The name of a channel: its template, in letters that a reference may have."""
    return BETWEEN_NAMES.sub(".", template).strip(".")


def _channels(spoken: Iterable[Spoken]) -> Json:
    channels: Json = {}
    for one in spoken:
        template = one.message.stream_template
        channel = channels.setdefault(
            _channel(template),
            {
                "address": template,
                "messages": {},
                "parameters": {
                    name: {"description": f"`{name}` of the message", "location": f"$message.payload#/{name}"}
                    for name in FIELD.findall(template)
                },
            },
        )
        channel["messages"][one.name] = {"$ref": f"#/components/messages/{one.name}"}
    return channels


def _operations(spoken: Sequence[Spoken]) -> Json:
    operations: Json = {}
    for process in _processes(spoken):
        for action, verb in (("send", "sends"), ("receive", "receives")):
            for one in spoken:
                if process not in (one.said_by if action == "send" else (*one.decided_by, *one.kept_by)):
                    continue
                channel = _channel(one.message.stream_template)
                operation = operations.setdefault(
                    f"{process}-{verb}-{channel}",
                    {
                        "action": action,
                        "channel": {"$ref": f"#/channels/{channel}"},
                        "tags": [{"name": process}],
                        "messages": [],
                    },
                )
                operation["messages"].append({"$ref": f"#/channels/{channel}/messages/{one.name}"})
    return operations


def _message(one: Spoken) -> Json:
    message = one.message
    summary, _, more = inspect.cleandoc(message.__doc__ or "").partition("\n")
    said = {
        "name": one.name,
        "title": message.__name__,
        "summary": summary,
        "description": more.strip(),
        "tags": [{"name": "command" if one.is_command else "event"}, {"name": message.topic}],
        "correlationId": {"location": "$message.header#/correlation"},
        "payload": {"$ref": f"#/components/schemas/{one.name}"},
        "traits": [{"$ref": f"#/components/messageTraits/{ENVELOPE}"}],
        "x-version": message.version,
    }
    if one.answers is not None and not one.answers.of_others:
        said["x-concluded-by"] = list(one.answers.done)
        said["x-rejected-by"] = list(one.answers.rejected)
        said["x-failed-by"] = list(one.answers.failed)
    return {key: value for key, value in said.items() if value}


def _schemas(spoken: Iterable[Spoken]) -> Json:
    schemas: Json = {ENVELOPE: _envelope()}
    for one in spoken:
        schema, parts = _alone(described(one.message))
        schemas[one.name] = schema
        for name, part in parts.items():
            assert schemas.setdefault(name, part) == part, f"{name} means two things"
    return schemas


def _alone(schema: Any) -> Any:
    """The same with every reference by itself: what stands beside one (a default) is not read in this dialect."""
    match schema:
        case {"$ref": target, **beside} if beside:
            return {"allOf": [{"$ref": target}], **_alone(beside)}
        case dict():
            return {name: _alone(part) for name, part in schema.items()}
        case list() | tuple():
            return type(schema)(map(_alone, schema))
        case _:
            return schema


def _envelope() -> Json:
    """What travels with every body: the columns of the log."""
    columns = {name: shape_of_type(kind) for name, kind in get_type_hints(Envelope).items() if name != "body"}
    return {
        "type": "object",
        "description": "What the log says of a message beside its body.",
        "properties": columns,
        "required": list(columns),
        "additionalProperties": False,
    }
