"""Other names for people, for those who study what happened and need not know who it was."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, TypeAlias
from uuid import UUID

from bus.message import Envelope

Json: TypeAlias = dict[str, Any]

UUID_TEXT: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
AS_PERSON: Final = re.compile(rf"\b(person|sharing):({UUID_TEXT})\b", re.IGNORECASE)
IS_UUID: Final = re.compile(UUID_TEXT, re.IGNORECASE)
NAMES_A_PERSON: Final = re.compile(r"person|[a-z]+_person|participants?|owner|handed_to|(?!replaced_by$)[a-z_]+_by")
VERSION_AND_VARIANT: Final = 0xF << 76 | 0b11 << 62
VERSION_8: Final = 8 << 76 | 0b10 << 62  # RFC 9562: of whatever its maker likes
REMEMBERED: Final = 10_000


class Pseudonyms:
    """Gives each person another id: always the same under one key, and none that leads back without it."""

    def __init__(self, key: bytes) -> None:
        self._key = blake2b(key, person=b"pseudonyms", digest_size=32).digest()
        self.of = lru_cache(REMEMBERED)(self._of)

    def _of(self, person: str) -> str:
        digest = int.from_bytes(blake2b(UUID(person).bytes, key=self._key, digest_size=16).digest())
        return str(UUID(int=digest & ~VERSION_AND_VARIANT | VERSION_8))

    def text(self, text: str) -> str:
        """A text in which people are named as actors and streams name them: `person:` and the id."""
        return AS_PERSON.sub(lambda found: f"{found[1]}:{self.of(found[2].lower())}", text)

    def applied(self, envelope: Envelope) -> Envelope:
        """The message with everybody under the other name: in its body, its stream, and as whose wish it was."""
        return envelope._replace(
            stream=self.text(envelope.stream),
            actor=self.text(envelope.actor),
            body=json.dumps(self._value(json.loads(envelope.body)), ensure_ascii=False, separators=(",", ":")),
        )

    def _value(self, value: Any, *, is_person: bool = False) -> Any:
        match value:
            case dict():
                return {
                    name: self._value(part, is_person=NAMES_A_PERSON.fullmatch(name) is not None)
                    for name, part in value.items()
                }
            case list():
                return [self._value(part, is_person=is_person) for part in value]
            case str():
                return self.of(value.lower()) if is_person and IS_UUID.fullmatch(value) else self.text(value)
            case _:
                return value
