"""What a message is: a pydantic body with a hand-written wire name, and the envelope it travels in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Generic, Literal, NamedTuple, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from bus.errors import UnknownMessage

JsonObject = dict[str, Any]
Topic = Literal["domain", "telemetry"]


class Message(BaseModel):
    """The body of a message. Subclasses name themselves: `class LaneHeld(Event, name=…, stream=…)`.

    `name` is the wire name, `<service>.<kebab-case>`. `stream` is a template over the body's fields that says
    what the message is about (`"booking:{booking}"`). `version` is the version of the body's shape, and
    `upcasts` turns an older shape into the next. `about` names the field with the id of the story it belongs to,
    where the message that led to it does not tell: the field becomes the correlation.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    upcasts: ClassVar[Mapping[int, Callable[[JsonObject], JsonObject]]] = {}
    stream_template: ClassVar[str] = ""
    story_field: ClassVar[str | None] = None
    topic: ClassVar[Topic] = "domain"

    def __init_subclass__(
        cls,
        *,
        name: str = "",
        stream: str = "",
        version: int = 1,
        about: str | None = None,
        topic: Topic = "domain",
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        cls.story_field = about
        cls.topic = topic
        cls.name = name or cls.name
        cls.stream_template = stream or cls.stream_template
        cls.version = version

    @property
    def stream(self) -> str:
        return self.stream_template.format_map(self.__dict__)

    def correlation(self, otherwise: UUID) -> UUID:
        """The id of the story this belongs to."""
        return otherwise if self.story_field is None else getattr(self, self.story_field)

    @classmethod
    def read(cls, schema: int, body: str | bytes) -> Self:
        """A body as it stands in the log, of this or an older version."""
        if schema == cls.version:
            return cls.model_validate_json(body)
        if schema > cls.version:
            message = f"{cls.name} has schema {schema}; this code knows up to {cls.version}"
            raise UnknownMessage(message)
        content = json.loads(body)
        for step in range(schema, cls.version):
            content = cls.upcasts[step](content)
        return cls.model_validate_json(json.dumps(content))


class Command(Message):
    """A wish, addressed to the one service that may grant it. An `urgent` one goes into the log before what waits."""

    urgent: ClassVar[bool] = False

    def __init_subclass__(cls, *, urgent: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.urgent = urgent


class Event(Message):
    """A fact.

    `concludes`, `rejects` or `fails` names the field with the id of the command that it answers for good.

    An event that answers no command, or answers the very command that it was decided on, needs neither.
    """

    concludes: ClassVar[str | None] = None
    rejects: ClassVar[str | None] = None
    fails: ClassVar[str | None] = None

    def __init_subclass__(
        cls,
        *,
        concludes: str | None = None,
        rejects: str | None = None,
        fails: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        cls.concludes = concludes
        cls.rejects = rejects
        cls.fails = fails


class Envelope(NamedTuple):
    """A row of the log: everything about a message but its parsed body."""

    position: int
    topic: str
    partition: int
    schema: int
    producer: int
    id: UUID
    cause: UUID | None
    correlation: UUID
    concludes: UUID | None
    revision: int | None
    at: datetime
    name: str
    stream: str
    actor: str
    body: str


M_co = TypeVar("M_co", bound=Message, covariant=True)


class Received(NamedTuple, Generic[M_co]):
    """A message out of the log: its envelope, and its body understood."""

    envelope: Envelope
    message: M_co


class Catalogue:
    """Which message a wire name means."""

    def __init__(self, messages: Iterable[type[Message]]) -> None:
        self._by_name: dict[str, type[Message]] = {}
        for message in messages:
            known = self._by_name.setdefault(message.name, message)
            if known is not message:
                text = f"{message.name} names both {known.__qualname__} and {message.__qualname__}"
                raise ValueError(text)

    def get(self, name: str) -> type[Message] | None:
        return self._by_name.get(name)

    def __getitem__(self, name: str) -> type[Message]:
        return self._by_name[name]

    @property
    def names(self) -> list[str]:
        return sorted(self._by_name)

    def read(self, envelope: Envelope) -> Received[Message]:
        message = self._by_name.get(envelope.name)
        if message is None:
            text = f"{envelope.name} is no message that this code knows"
            raise UnknownMessage(text)
        return Received(envelope, message.read(envelope.schema, envelope.body))
