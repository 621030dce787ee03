"""Showing something: the query is checked, and a view of a service is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from bus.connection import Connection
from gateway.access import Access, Caller
from gateway.answers import json_response
from gateway.caught_up import ACQUIRE_TIMEOUT_S, Consumer, wait_until_past
from gateway.problems import NOT_FOUND, Problem
from gateway.queries import Query, read_query
from gateway.routing import Documented, Route, Visit, summary_of

T = TypeVar("T")
Q_co = TypeVar("Q_co", bound=Query, covariant=True)


class Listing(BaseModel, Generic[T]):
    """Things of a kind; if there are more, `next` is the `cursor` to go on with."""

    model_config = ConfigDict(frozen=True)

    items: tuple[T, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Look(Generic[Q_co]):
    """What a view is given: who looks, at what, and how much of it."""

    connection: Connection
    caller: Caller
    path: Mapping[str, Any]
    query: Q_co


View = Callable[[Look[Any]], Awaitable[BaseModel | None]]


@dataclass(frozen=True, slots=True)
class Shows:
    """Reads a view; None is nothing that the caller may see."""

    deadline_s: ClassVar[float | None] = 15.0

    view: View
    model: type[BaseModel]
    query: type[Query]
    of: Consumer | None  # whose tables the view reads

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        query = read_query(self.query, visit.request)
        if query.position is not None and self.of is not None:
            await wait_until_past(visit.ports, self.of, query.position)
        async with visit.ports.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
            found = await self.view(Look(connection, visit.caller, visit.path, query))
        if found is None:
            raise Problem(NOT_FOUND)
        return json_response(found)

    @property
    def documented(self) -> Documented:
        return Documented(summary=summary_of(self.view), query=self.query, answers={200: self.model})


def shows(
    path: str,
    view: View,
    model: type[BaseModel],
    access: Access,
    *,
    query: type[Query] = Query,
    of: Consumer | None = None,
    cost: int = 1,
) -> Route:
    """A row of the table."""
    return Route("GET", path, Shows(view, model, query, of), access, cost)
