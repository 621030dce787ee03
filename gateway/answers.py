"""What a command's sender is told: that it is under way, or how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from json.encoder import encode_basestring
from typing import Any, Final, Literal
from uuid import UUID

from aiohttp import hdrs, web
from pydantic import BaseModel, ConfigDict, Field

from bus.outcomes import Outcome
from gateway.problems import COMMAND_FAILED, COMMAND_REFUSED, Problem

_UNDER_WAY: Final = (
    '{{"command":"{0}","status":"pending","position":null,"outcome":null,"rejection":null,'
    '"links":{{"command":"/v1/commands/{0}","result":{1}}}}}'
)


class Happened(BaseModel):
    """The event that concluded a command."""

    model_config = ConfigDict(frozen=True)

    event: str = Field(description="its name, like `booking.booking-confirmed`")
    at: datetime
    body: dict[str, Any]


class Rejection(BaseModel):
    """Who refused, by which rule and why."""

    model_config = ConfigDict(frozen=True)

    refused_by: str
    rule: str
    rule_version: int
    reason: str


class Links(BaseModel):
    """Where to go on."""

    model_config = ConfigDict(frozen=True)

    command: str
    result: str | None = Field(default=None, description="where that which the command makes can be read")


class CommandStatus(BaseModel):
    """How a command stands: pending, done, rejected by a rule, or failed by a fault."""

    model_config = ConfigDict(frozen=True)

    command: UUID
    status: Literal["pending", "done", "rejected", "failed"]
    position: str | None = Field(default=None, description="of the outcome; a query's `min-position` takes it")
    outcome: Happened | None = None
    rejection: Rejection | None = None
    links: Links


def links_of(command: UUID, result: str | None = None) -> Links:
    return Links(command=f"/v1/commands/{command}", result=result)


def status_of(command: UUID, outcome: Outcome | None, result: str | None = None) -> CommandStatus:
    if outcome is None:
        return CommandStatus(command=command, status="pending", links=links_of(command, result))
    return CommandStatus(
        command=command,
        status=outcome.status,
        position=position_of(outcome),
        outcome=Happened(event=outcome.name, at=outcome.at, body=outcome.body) if outcome.status == "done" else None,
        rejection=_rejection(outcome) if outcome.status == "rejected" else None,
        links=links_of(command, result),
    )


def position_of(outcome: Outcome) -> str:
    return f"{outcome.epoch}-{outcome.position}"


def answer(
    command: UUID,
    outcome: Outcome | None,
    *,
    result: str | None,
    creates: bool,
    waited: bool,
    besides: Mapping[str, Any],
) -> web.Response:
    """The response to a command's own request; raises the problem if it was rejected or failed."""
    if outcome is not None and outcome.status != "done":
        raise _problem_of(command, outcome, besides)
    status = 202 if outcome is None else 201 if creates else 200
    headers: dict[str, str] = {hdrs.LOCATION: result or links_of(command).command} if outcome is None or creates else {}
    if waited:
        headers["Preference-Applied"] = "wait"
    text = under_way(command, result) if outcome is None else status_of(command, outcome, result).model_dump_json()
    return _json(text, status, headers)


def under_way(command: UUID, result: str | None) -> str:
    """The CommandStatus of a pending command, as `status_of` has it, without a model: most answers are this one."""
    return _UNDER_WAY.format(command, "null" if result is None else encode_basestring(result))


def json_response(model: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return _json(model.model_dump_json(), status, headers)


def _json(text: str, status: int, headers: dict[str, str] | None) -> web.Response:
    return web.Response(status=status, body=text.encode(), content_type="application/json", headers=headers)


def _problem_of(command: UUID, outcome: Outcome, besides: Mapping[str, Any]) -> Problem:
    told: dict[str, Any] = {**besides, "command": str(command), "position": position_of(outcome)}
    if outcome.status == "failed":
        return Problem(COMMAND_FAILED, **told)
    rejection = _rejection(outcome)
    told |= rejection.model_dump()
    return Problem(COMMAND_REFUSED, rejection.reason, name=rejection.rule, **told)


def _rejection(outcome: Outcome) -> Rejection:
    return Rejection(**{name: outcome.body[name] for name in Rejection.model_fields})
