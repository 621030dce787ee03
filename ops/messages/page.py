"""`docs/messages.md`: every message for people, made from the code."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final

from bus.message import Event
from ops.messages.conversation import Answers, Spoken
from ops.messages.shapes import Json, described
from ops.messages.words import bare_words, types, words

PREFACE: Final = """# Messages

Everything that is ever said on the log. A *command* is a wish, addressed to the one service that may grant it; an
*event* is a fact. A message's stream is what it is about, and order is promised inside a stream. This page is made
from the code by `firingline messages --write`, and so are [asyncapi.json](asyncapi.json), which says the same to
machines, and the pinned shapes in `tests/house/messages.json`.

## How messages change

The log is kept, so what was once written must stay readable. `tests/house/test_pinned_messages.py` compares the code
with the pinned shapes and refuses what would leave old messages unread: a name, a field or a value that is gone, a
field that is newly required, a bound that became tighter.

- **What still reads all that was read before** (a new field with a default, a wider bound) needs only
  `firingline messages --write`. Where old and new code will run side by side, let the `version` grow all the same:
  older code takes a body with more in it for a fault, but one of a newer version it leaves waiting.
- **Anything else** needs a `version` one higher and, in `upcasts`, the function that turns the older body into the
  newer one. The older shape stays pinned, and the test reads bodies of it through that function.
- **A name, a kind, a topic and a stream stay what they are.** What differs there is another message, with another name.
- **What no log holds yet** (it was never released) may change freely: strike it out of `tests/house/messages.json`.

A consumer that meets a newer version than it knows parks that stream, says so in its process's log and in `bus.parked`,
counts no attempt, and goes on with it when newer code has come. `firingline replay` shows bodies as they stand in the
log, of whatever version; `firingline rebuild` brings them up to date as a consumer does.
"""


def page(spoken: Sequence[Spoken]) -> str:
    """The whole document."""
    lines = [PREFACE, *_overview(spoken)]
    for owner, its in groupby(spoken, attrgetter("owner")):
        lines += [f"## {owner.capitalize()}", ""]
        for one in its:
            lines += _message(one)
    return "\n".join([*lines, *_parts(spoken), *_types()]) + "\n"


def _overview(spoken: Sequence[Spoken]) -> list[str]:
    rows = (
        (
            f"[{one.name}](#{_anchor(one.name)})",
            "command" if one.is_command else "event",
            ", ".join(one.said_by),
            ", ".join(dict.fromkeys((*one.decided_by, *one.kept_by))),
        )
        for one in spoken
    )
    return ["## Who says what to whom", "", *_table(("message", "kind", "said by", "heard by"), rows), ""]


def _message(one: Spoken) -> list[str]:
    message = one.message
    kind = "Command" if one.is_command else "Event"
    story = f" Its story is `{message.story_field}`." if message.story_field else ""
    topic = "" if message.topic == "domain" else f" Topic `{message.topic}`."
    lines = [
        f"### {one.name}",
        "",
        inspect.cleandoc(message.__doc__ or ""),
        "",
        f"{kind}, version {message.version}, stream `{message.stream_template}`.{topic}{story}",
        "",
        f"- Said by {_all(one.said_by) or 'nobody'}.",
        f"- {_heard(one)}",
    ]
    if one.answers is not None:
        lines.append(f"- {_answered(one, one.answers)}")
    if issubclass(message, Event):
        named = (("concludes", message.concludes), ("rejects", message.rejects), ("fails", message.fails))
        lines += [f"- It {how} the command that `{field}` names." for how, field in named if field is not None]
    schema, _ = described(message)
    return [*lines, "", *_fields(schema), ""]


def _heard(one: Spoken) -> str:
    acting, noting = one.decided_by, [name for name in one.kept_by if name not in one.decided_by]
    said = [f"{_all(acting)} {'act' if len(acting) > 1 else 'acts'} on it"] if acting else []
    said += [f"{_all(noting)} {'note' if len(noting) > 1 else 'notes'} it"] if noting else []
    return f"{'; '.join(said).capitalize()}." if said else "No other service hears it."


def _answered(one: Spoken, answers: Answers) -> str:
    if answers.of_others:
        return f"{_all(one.decided_by).capitalize()} asks itself this; the event it leads to answers another command."
    done = (
        _all([f"`{name}`" for name in answers.done]) or f"the last event that {_all(one.decided_by)} says because of it"
    )
    rejected, failed = (_any(names) for names in (answers.rejected, answers.failed))
    return f"Concluded by {done}; rejected by {rejected}; failed by {failed}."


def _fields(schema: Json) -> list[str]:
    required = schema.get("required", ())
    rows = [
        (
            f"`{name}`",
            words(field) + ("" if name in required else f"; `{_default(field)}` if absent"),
            field.get("description", ""),
        )
        for name, field in schema["properties"].items()
    ]
    if any(description for _, _, description in rows):
        return _table(("field", "holds", ""), rows)
    return _table(("field", "holds"), [row[:2] for row in rows])


def _default(field: Json) -> str:
    return "null" if field["default"] is None else str(field["default"])


def _parts(spoken: Sequence[Spoken]) -> list[str]:
    parts = {name: part for one in spoken for name, part in described(one.message)[1].items()}
    lines = ["## Parts", "", "What messages are made of.", ""]
    for name in sorted(parts):
        lines += [f"### {name}", "", parts[name]["description"], "", *_fields(parts[name]), ""]
    return lines


def _types() -> list[str]:
    rows = ((name, bare_words(schema), sentence) for name, (schema, sentence) in types().items())
    return ["## Types", "", *_table(("type", "holds", ""), rows)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {line} |" for line in lines)]


def _all(names: Sequence[str]) -> str:
    return _joined(names, "and")


def _any(names: Sequence[str]) -> str:
    return _joined([f"`{name}`" for name in names], "or")


def _joined(names: Sequence[str], word: str) -> str:
    return f" {word} ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _anchor(heading: str) -> str:
    """Where a heading is found, as Markdown renderers name it."""
    return heading.replace(".", "").lower()
