"""Asking a service for something: route, path, body and caller become a command, and the command goes into the log."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, ClassVar
from uuid import UUID

from aiohttp import web
from pydantic import create_model

from bus.group_commit import Accepted, Asked, Overloaded, key_of
from bus.identity import uuid7
from bus.message import Command
from bus.outcomes import Outcome
from bus.tasks import unless
from gateway.access import Access, Caller
from gateway.alternatives import alternatives_to
from gateway.answers import CommandStatus, answer
from gateway.body import Body, parse, read
from gateway.headers import IDEMPOTENCY_KEY, LONGEST_WAIT_S, PREFER, idempotency_key, wait_s
from gateway.ports import ENDING
from gateway.problems import BUSY, KEY_CONFLICT, NOT_PERMITTED, Problem, again_after
from gateway.queries import must_have_none
from gateway.routing import Documented, Route, Visit, names_in, summary_of


@dataclass(frozen=True, slots=True)
class Asks:
    """Hands a command over, and answers that it is under way or, where the client would wait, how it ended."""

    deadline_s: ClassVar[float | None] = LONGEST_WAIT_S + 15.0

    command: type[Command]
    body: type[Body]
    makes: str | None  # the field with the id of what is made, which is the command's own
    person: str | None  # the field with the person it is for: the caller, unless staff says otherwise
    result: str | None  # where what is made can be read

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        must_have_none(visit.request)
        key, patience_s = idempotency_key(visit.request), wait_s(visit.request)
        raw = await read(visit.request)
        id_ = uuid7()
        command = self._command(parse(self.body, raw), visit, id_)
        asked = Asked(
            key=id_ if key is None else key_of(f"{visit.caller.actor} {visit.route.method} {visit.route.path}", key),
            hash=sha256(f"{visit.request.path}\n".encode() + raw).digest(),
            id=id_,
            command=command,
            actor=visit.caller.actor,
        )
        accepted = await self._accept(visit, asked)
        outcome = await self._outcome(visit, accepted, patience_s)
        refused = outcome is not None and outcome.status == "rejected"
        besides = await alternatives_to(visit, command, outcome.body["rule"]) if outcome and refused else {}
        return answer(
            accepted.id,
            outcome,
            result=self._result(visit, accepted.id),
            creates=self.makes is not None,
            waited=patience_s is not None,
            besides=besides,
        )

    @property
    def documented(self) -> Documented:
        return Documented(
            summary=summary_of(self.command),
            body=self.body if self.body.model_fields else None,
            headers=(IDEMPOTENCY_KEY, PREFER),
            answers={201 if self.makes else 200: CommandStatus, 202: CommandStatus},
            may_refuse=True,
        )

    def _command(self, body: Body, visit: Visit, id_: UUID) -> Command:
        fields: dict[str, Any] = {**body.__dict__, **visit.path}
        if self.makes is not None:
            fields[self.makes] = id_
        if self.person is not None:
            fields[self.person] = _person(fields[self.person], visit.caller)
        return self.command(**fields)

    async def _accept(self, visit: Visit, asked: Asked) -> Accepted:
        visit.ports.must_append()
        try:
            accepted = await visit.ports.commands.accept(asked)
        except Overloaded as overloaded:
            raise again_after(BUSY, overloaded.retry_after_s) from overloaded
        if accepted.verdict == "conflicting":
            raise Problem(KEY_CONFLICT)
        return accepted

    async def _outcome(self, visit: Visit, accepted: Accepted, patience_s: int | None) -> Outcome | None:
        if patience_s:
            ending = visit.request.app[ENDING]
            return await unless(ending, visit.ports.outcomes.wait(accepted.id, patience_s))
        if accepted.verdict == "repeated":
            return await visit.ports.outcomes.find(accepted.id)
        return None

    def _result(self, visit: Visit, id_: UUID) -> str | None:
        made = {} if self.makes is None else {self.makes: id_}
        return None if self.result is None else self.result.format(**visit.path, **made)


def asks(
    method: str,
    path: str,
    command: type[Command],
    access: Access,
    *,
    makes: str | None = None,
    person: str | None = None,
    result: str | None = None,
) -> Route:
    """A row of the table: the path's parameters and these fields are given, the body says the rest."""
    given = {*names_in(path), makes}
    does = Asks(command, _body_of(command, given, person), makes, person, result)
    return Route(method, path, does, access, cost=2)


def _body_of(command: type[Command], given: Container[str | None], person: str | None) -> type[Body]:
    """The command's fields that are left for the body; whom it is for may be left out."""
    fields: dict[str, Any] = {
        name: (UUID | None, None) if name == person else (about.annotation, about)
        for name, about in command.model_fields.items()
        if name not in given
    }
    return create_model(command.__name__, __base__=Body, __doc__=command.__doc__, **fields)


def _person(named: UUID | None, caller: Caller) -> UUID:
    if named is not None and named != caller.person and not caller.staff:
        raise Problem(NOT_PERMITTED, "Only staff may do this for somebody else.")
    return named or caller.viewer
