"""What a route is: a method and a path, what it does, and who may use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from string import Formatter
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, Protocol
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from bus.fields import Code, Currency
from gateway.access import Access, Caller
from gateway.ports import Ports
from gateway.problems import NOT_FOUND, Problem, invalid

_ID: Final = TypeAdapter(UUID)
_CODE: Final = TypeAdapter(Code)
PATH_PARAMETERS: Final[Mapping[str, TypeAdapter[Any]]] = {
    "person": _ID,
    "licence": _ID,
    "booking": _ID,
    "weapon": _ID,
    "invoice": _ID,
    "session": _ID,
    "command": _ID,
    "report": _ID,
    "audit": _ID,
    "closure": _ID,
    "entry": _ID,
    "series": _ID,
    "range": _CODE,
    "code": _CODE,
    "lane": _CODE,
    "weapon_type": _CODE,
    "device": _CODE,
    "currency": TypeAdapter(Currency),
    "asset": _CODE,
    "service": TypeAdapter(Literal["auth", "booking", "armory", "payment", "stats"]),
    "position": TypeAdapter(Annotated[int, Field(ge=1, le=2**62)]),
    "problem": _CODE,
}


@dataclass(frozen=True, slots=True)
class Documented:
    """What the documentation says of an operation, besides its path and who may use it."""

    summary: str
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    headers: Sequence[str] = ()
    answers: Mapping[int, type[BaseModel] | None] = field(default_factory=dict)
    media_type: str = "application/json"
    may_refuse: bool = False  # by a rule of the range


class Visit(NamedTuple):
    """One request of a caller who was admitted."""

    request: web.Request
    route: Route
    caller: Caller
    path: Mapping[str, Any]
    ports: Ports


class Operation(Protocol):
    """What a route does."""

    deadline_s: ClassVar[float | None]

    async def __call__(self, visit: Visit) -> web.StreamResponse: ...

    @property
    def documented(self) -> Documented: ...


@dataclass(frozen=True, slots=True)
class Route:
    """A row of the table. Without `access` the gateway does not start."""

    method: str
    path: str
    does: Operation
    access: Access | None = None
    cost: int = 1  # units of the caller's, by gateway.rates


@cache
def names_in(path: str) -> Sequence[str]:
    """The parameters that a path names."""
    return tuple(name for _, name, _, _ in Formatter().parse(path) if name is not None)


def path_of(route: Route, request: web.Request) -> dict[str, Any]:
    """The path's parameters, understood. What cannot be an id is the id of nothing."""
    found: dict[str, Any] = {}
    for name in names_in(route.path):
        try:
            found[name] = PATH_PARAMETERS[name].validate_python(request.match_info[name])
        except ValidationError as error:
            if route.method == "PUT":
                raise invalid({"parameter": name, "detail": error.errors()[0]["msg"]}) from error
            raise Problem(NOT_FOUND) from error
    return found


def summary_of(documented: object) -> str:
    """The first sentence of what something says of itself."""
    return (documented.__doc__ or "").strip().partition("\n")[0]
