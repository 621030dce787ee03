"""The pinned messages: what the log may hold, and what of a change in the code would leave it unread."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from bus.message import Command, Event, Message
from ops.messages.comparing import refusals
from ops.messages.layout import laid_out
from ops.messages.shapes import Json, shape


@dataclass(frozen=True, slots=True)
class Pin:
    """What is promised about one wire name, and the shape of its body in every version that was ever pinned."""

    kind: str
    version: int
    stream: str
    topic: str
    story: str | None
    answers: str | None
    shapes: Mapping[int, Json]
    upcasts: Collection[int] = field(default=(), compare=False)  # the code's, not written down


Pins = Mapping[str, Pin]


def pins_of(messages: Iterable[type[Message]]) -> dict[str, Pin]:
    """The messages as the code has them: with the shape of their present version alone."""
    return {message.name: _pin(message) for message in messages}


def _pin(message: type[Message]) -> Pin:
    return Pin(
        kind="command" if issubclass(message, Command) else "event",
        version=message.version,
        stream=message.stream_template,
        topic=message.topic,
        story=message.story_field,
        answers=_answers(message),
        shapes={message.version: shape(message)},
        upcasts=frozenset(message.upcasts),
    )


def _answers(message: type[Message]) -> str | None:
    if issubclass(message, Event):
        for how in ("concludes", "rejects", "fails"):
            if getattr(message, how) is not None:
                return f"{how} {getattr(message, how)}"
    return None


def breaks(pinned: Pins, now: Pins) -> list[str]:
    """What the code would no longer read of a log that holds the pinned messages, a sentence each."""
    found = [
        f"{name} is gone: what the log holds under that name would stay unread." for name in pinned.keys() - now.keys()
    ]
    for name, present in now.items():
        found += [f"{name} {finding}" for finding in _upcasts_missing(present)]
        if name in pinned:
            found += [f"{name} {finding}" for finding in _breaks(pinned[name], present)]
    return sorted(found)


def _upcasts_missing(present: Pin) -> list[str]:
    older = set(range(1, present.version))
    return [
        *(f"has version {present.version} and no upcaster from {one}." for one in sorted(older - {*present.upcasts})),
        *(f"has an upcaster from {one}, which is no older version." for one in sorted({*present.upcasts} - older)),
    ]


def _breaks(pinned: Pin, present: Pin) -> list[str]:
    found = [
        f"was {was!r} and is {now!r}: what is in the log stays as it was, so this needs a name of its own."
        for was, now in ((pinned.kind, present.kind), (pinned.topic, present.topic))
        if was != now
    ]
    grown = present.version > pinned.version
    if pinned.stream != present.stream and not (grown and _frame(pinned.stream) == _frame(present.stream)):
        found.append(
            f"had the stream {pinned.stream!r} and has {present.stream!r}: order is promised inside a stream, "
            "so this needs a name of its own."
        )
    if present.version < pinned.version:
        found.append(f"had version {pinned.version} and has {present.version}: the log holds newer ones.")
    if present.version == pinned.version:
        found += [
            f"(version {present.version}) {refusal}"
            for refusal in refusals(present.shapes[present.version], pinned.shapes[pinned.version])
        ]
    return found


def _frame(template: str) -> str:
    """A stream's template without the names of its fields, which a new version may rename."""
    return re.sub(r"\{[^}]*\}", "{}", template)


def widens(pinned: Pins, now: Pins) -> list[str]:
    """What older code that still runs would take for a fault, since the version does not tell it to wait."""
    return sorted(
        f"{name} (version {present.version}) {refusal}"
        for name, present in now.items()
        if name in pinned and present.version == pinned[name].version
        for refusal in refusals(pinned[name].shapes[present.version], present.shapes[present.version])
    )


def renewed(pinned: Pins, now: Pins) -> dict[str, Pin]:
    """The pins to write down: the code's, with the older shapes that are pinned already."""
    return {
        name: Pin(
            present.kind,
            present.version,
            present.stream,
            present.topic,
            present.story,
            present.answers,
            {**(pinned[name].shapes if name in pinned else {}), **present.shapes},
            present.upcasts,
        )
        for name, present in now.items()
    }


def read(text: str) -> dict[str, Pin]:
    """Pins as they were written down."""
    return {
        name: Pin(**{**pin, "shapes": {int(version): one for version, one in pin["shapes"].items()}})
        for name, pin in json.loads(text).items()
    }


def written(pins: Pins) -> str:
    """Pins as text, a line for each field, so that a change of one is a change of one line."""
    content = {
        name: {
            "kind": pin.kind,
            "version": pin.version,
            "stream": pin.stream,
            "topic": pin.topic,
            "story": pin.story,
            "answers": pin.answers,
            "shapes": {str(version): pin.shapes[version] for version in sorted(pin.shapes)},
        }
        for name, pin in sorted(pins.items())
    }
    return laid_out(content)
