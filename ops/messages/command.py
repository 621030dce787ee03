"""`firingline messages`: what is said on the log, and the files that say so."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from bus.errors import Refusal
from ops.messages import asyncapi, pins
from ops.messages.conversation import of_this_code
from ops.messages.page import page

ROOT: Final = Path(__file__).parents[2]
PINNED: Final = Path("tests/house/messages.json")
PAGE: Final = Path("docs/messages.md")
DOCUMENT: Final = Path("docs/asyncapi.json")
BROKEN: Final = (
    "Nothing was written: the log's older messages could not be read. docs/messages.md says how messages change; "
    f"what no log holds yet is struck out of {PINNED} by hand."
)


@click.command
@click.option("--write", is_flag=True, help="Write the files anew, unless a change would leave old messages unread.")
def messages(write: bool) -> None:  # noqa: FBT001 - click passes flags so
    """Tell every message: who says it, who hears it, its fields with their bounds, and what answers a command.

    With --write, the files made from the code are brought up to date: docs/messages.md, docs/asyncapi.json and
    tests/house/messages.json, which pins names, versions, streams and shapes. A change after which the log's older
    messages could not be read is refused; docs/messages.md says what to do then.
    """
    if not write:
        click.echo(page(of_this_code()), nl=False)
        return
    for line in refresh(ROOT):
        click.echo(line)


def refresh(root: Path) -> list[str]:
    """Writes the files of a checkout; returns what there is to say of it."""
    if not (root / PINNED.parent).is_dir():
        raise Refusal("These files belong to a checkout of the project, and this is none.")
    pinned = pins.read((root / PINNED).read_text(encoding="utf-8")) if (root / PINNED).exists() else {}
    now = pins.pins_of(one.message for one in of_this_code())
    broken = pins.breaks(pinned, now)
    if broken:
        raise Refusal("\n  ".join((BROKEN, *broken)))
    said = [f"Older code would take this for a fault: {one}" for one in pins.widens(pinned, now)]
    for file, text in made(pins.renewed(pinned, now)).items():
        path = root / file
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            said.append(f"Written: {file}")
    return said or ["All is up to date."]


def made(pinned: pins.Pins) -> dict[Path, str]:
    """What each of the files is to say."""
    spoken = of_this_code()
    return {PINNED: pins.written(pinned), PAGE: page(spoken), DOCUMENT: asyncapi.document(spoken)}
