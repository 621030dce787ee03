"""Finds JSON-like frames in what a target sends, whatever stands around them; pure.

A target's stream carries banners, traces and an echo of all it is sent; frames follow each other with no line end,
with doubled commas or a missing quote. So nothing is split on lines: a frame is what stands between a `{` and a `}`,
tried from the innermost `{` outwards, since the frames we want contain no other. Rubbish before or after a frame, be it
half a frame, cannot swallow it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

LONGEST_BYTES: Final = 2048
MOST_OPEN: Final = 8  # braces that may wait for their end
MOST_TRIES: Final = 4  # ends that an open brace is tried with

_BRACE: Final = re.compile(rb"[{}]")
_KEY: Final = re.compile(r'\s*"?([A-Za-z_]\w*)"?\s*:\s*')
_QUOTED: Final = re.compile(r'"([^"]*)"\s*(?=,|$)')
_UNENDED: Final = re.compile(r'"([^",]*)')
_BARE: Final = re.compile(r'([^",]*)"?')
_COMMAS: Final = re.compile(r"[\s,]*")
_NUMBER: Final = re.compile(r"([+-]?\d{1,15}(?:\.\d{1,15})?)s?")  # some firmware writes a unit behind it

Fields = dict[str, Any]
"""A frame's members: numbers as Decimal, text, true, false, null; whatever else JSON has is of no interest."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that could be read; whether it tells of a shot is another question."""

    raw: bytes
    fields: Fields


@dataclass(frozen=True, slots=True)
class Wrong:
    """Bytes that look like a frame of a shot and cannot be read."""

    raw: bytes
    reason: str


Found = Frame | Wrong


@dataclass(slots=True)
class Scanner:
    """Takes a stream in chunks and gives the frames in it, keeping at most a frame's length of it."""

    _kept: bytearray = field(default_factory=bytearray)
    _open: list[_Open] = field(default_factory=list)
    _scanned: int = 0  # how much of what is kept was looked at

    def feed(self, chunk: bytes) -> list[Found]:
        found: list[Found] = []
        self._kept += chunk
        for brace in _BRACE.finditer(self._kept, self._scanned):
            if brace.group() == b"{":
                self._open.append(_Open(brace.start()))
                self._give_up(len(self._open) - MOST_OPEN, brace.start(), found)
            else:
                self._close(brace.end(), found)
        self._scanned = len(self._kept)
        too_long = sum(1 for one in self._open if self._scanned - one.start > LONGEST_BYTES)
        self._give_up(too_long, self._scanned, found)
        self._forget(self._open[0].start if self._open else self._scanned)
        return found

    def _close(self, end: int, found: list[Found]) -> None:
        """Tries what this end could belong to, the innermost first."""
        for i in range(len(self._open) - 1, -1, -1):
            one = self._open[i]
            if end - one.start > LONGEST_BYTES:
                continue
            raw = bytes(self._kept[one.start : end])
            fields = read_fields(raw)
            if fields is not None:
                self._give_up(i, one.start, found)
                self._open.clear()
                found.append(Frame(raw, fields))
                return
            one.tries += 1
        tired = sum(1 for one in self._open if one.tries >= MOST_TRIES)
        self._give_up(tired, end, found)

    def _give_up(self, count: int, end: int, found: list[Found]) -> None:
        """Lets go of the first open braces; what they began is worth a word if it looks like a shot."""
        if count <= 0:
            return
        begun = self._open[0].start
        del self._open[:count]
        raw = bytes(self._kept[begun : min(end, self._open[0].start) if self._open else end])[:LONGEST_BYTES]
        if b"shot" in raw:
            found.append(Wrong(raw, "it is no complete frame"))

    def _forget(self, count: int) -> None:
        del self._kept[:count]
        self._scanned -= count
        for one in self._open:
            one.start -= count


@dataclass(slots=True)
class _Open:
    start: int
    tries: int = 0


def read_fields(raw: bytes) -> Fields | None:
    """The members of a frame from its `{` to its `}`: as JSON, or else with a target's usual mistakes."""
    text = raw.decode("utf-8", errors="replace")
    try:
        found = json.loads(
            text,
            parse_int=Decimal,
            parse_float=Decimal,
            parse_constant=_refuse,
            object_pairs_hook=_once_each,
        )
    except (ValueError, RecursionError):
        return _read_leniently(text[1:-1])
    return found if isinstance(found, dict) else None


def _read_leniently(text: str) -> Fields | None:
    """Members with doubled commas, a missing quote, bare words; None if that does not explain it."""
    pairs: list[tuple[str, Any]] = []
    ended = True
    at = _end_of_commas(text, 0)
    while at < len(text):
        key = _KEY.match(text, at)
        if key is None:
            return None
        value, behind, ended = _read_value(text, key.end())
        pairs.append((key[1], value))
        at = _end_of_commas(text, behind)
        if at < len(text) and "," not in text[behind:at]:
            return None
    try:
        fields = _once_each(pairs)
    except ValueError:
        return None
    # A text without its end may hold a brace and go on behind it, which matters unless all is there already.
    return fields if ended or {"x", "y"} <= fields.keys() else None


def _end_of_commas(text: str, at: int) -> int:
    commas = _COMMAS.match(text, at)
    return at if commas is None else commas.end()


def _read_value(text: str, at: int) -> tuple[Any, int, bool]:
    """A value, where it ends, and whether it is sure to end there."""
    if quoted := _QUOTED.match(text, at):
        return quoted[1], quoted.end(), True
    if unended := _UNENDED.match(text, at):
        return unended[1], unended.end(), unended.end() < len(text)
    bare = _BARE.match(text, at)
    assert bare is not None, "it matches nothing as well"
    word = bare[1].strip()
    number = _NUMBER.fullmatch(word)
    return (word if number is None else Decimal(number[1])), bare.end(), True


def _once_each(pairs: Sequence[tuple[str, Any]]) -> Fields:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a member is there twice")
    return fields


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")
