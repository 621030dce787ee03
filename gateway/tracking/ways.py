"""The ways by which frames come, and how each is read again from the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gateway.tracking import push
from gateway.tracking.frames import Frame, read_fields
from gateway.tracking.journal import Entry
from gateway.tracking.shots import Sighted, understand

TCP: Final = "tcp"
HTTP: Final = "http"


def _freetarget(entry: Entry) -> Sequence[Sighted]:
    fields = read_fields(entry.raw)
    told = None if fields is None else understand(Frame(entry.raw, fields))
    return [told] if isinstance(told, Sighted) else []


def _posted(entry: Entry) -> Sequence[Sighted]:
    return push.read(entry.raw).shots


WAYS: Final[Mapping[str, Callable[[Entry], Sequence[Sighted]]]] = {TCP: _freetarget, HTTP: _posted}


def decode(entry: Entry) -> Sequence[Sighted]:
    """The shots in an entry; none in one that was wrong."""
    return WAYS[entry.way](entry) if entry.verdict == "shot" else []
