"""Who says and who hears what, out of the services' own tables."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bus.message import Command, Event, Message
from bus.service import Hears, Service
from handlers.wiring import SERVICES, may_append

GATEWAY: Final = "gateway"


@dataclass(frozen=True, slots=True)
class Answers:
    """What ends a command: the names of the events that may. Without `done`, the last event that it leads to does."""

    done: tuple[str, ...]
    rejected: tuple[str, ...]
    failed: tuple[str, ...]
    of_others: bool  # the service asks itself, nobody waits: what it leads to answers other commands


@dataclass(frozen=True, slots=True)
class Spoken:
    """One message, and what the services have to do with it."""

    message: type[Message]
    said_by: tuple[str, ...]
    decided_by: tuple[str, ...]  # they act on it
    kept_by: tuple[str, ...]  # they note it in tables of their own
    answers: Answers | None

    @property
    def name(self) -> str:
        return self.message.name

    @property
    def owner(self) -> str:
        """Whose message it is, as its wire name says."""
        return self.name.partition(".")[0]

    @property
    def is_command(self) -> bool:
        return issubclass(self.message, Command)


def of_this_code() -> list[Spoken]:
    services = [make() for make in SERVICES.values()]
    return conversation(services, may_append()[GATEWAY])


def conversation(services: Sequence[Service], at_the_gate: Collection[str]) -> list[Spoken]:
    """Every message of these services once: each service's own, as its table has them, then what comes from outside."""
    own = [message for service in services for message in _own(service)]
    heard = [message for service in services for message in (*(row.message for row in service.hears), *service.applies)]
    return [_spoken(message, services, at_the_gate) for message in dict.fromkeys([*own, *heard])]


def _own(service: Service) -> Iterator[type[Message]]:
    yield from (row.message for row in service.hears if issubclass(row.message, Command))
    yield from (*service.asks_itself, *service.says, service.rejected_as, service.failed_as)


def _spoken(message: type[Message], services: Sequence[Service], at_the_gate: Collection[str]) -> Spoken:
    sayers = [service.name for service in services if message.name in service.may_append]
    hearing = [(service, row) for service in services if (row := service.row(message)) is not None]
    answers = [_answers(service, row) for service, row in hearing] if issubclass(message, Command) else []
    return Spoken(
        message,
        said_by=(*((GATEWAY,) if message.name in at_the_gate else ()), *sayers),
        decided_by=tuple(service.name for service, _ in hearing),
        kept_by=tuple(service.name for service in services if message in service.projects),
        answers=answers[0] if answers else None,
    )


def _answers(service: Service, row: Hears) -> Answers:
    def naming(how: str) -> tuple[str, ...]:
        events: Sequence[type[Event]] = service.says if row.leaves_open else ()
        return tuple(event.name for event in events if getattr(event, how) is not None)

    return Answers(
        done=naming("concludes"),
        rejected=(*naming("rejects"), service.rejected_as.name),
        failed=(*naming("fails"), service.failed_as.name),
        of_others=row.leaves_open and row.message in service.asks_itself,
    )
