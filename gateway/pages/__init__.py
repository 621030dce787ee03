"""Pages for people: the board, the API's documentation, the kinds of problems. All of it is served from here."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import ClassVar, Final

from aiohttp import hdrs, web

from gateway import openapi
from gateway.access import PUBLIC
from gateway.problems import COMMAND_REFUSED, KINDS, NOT_FOUND, PATH, Kind, Problem
from gateway.queries import must_have_none
from gateway.routing import Documented, Route, Visit

HERE: Final = Path(__file__).parent
TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".html": "text/html"}
OWN: Final = frozenset({"style.css", "board.js", "docs.js", "favicon.svg"})
SWAGGER_UI: Final = frozenset({"swagger-ui.css", "swagger-ui-bundle.js"})
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
POLICY_OF_DOCS: Final = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")  # Swagger UI's way
ONE_DAY: Final = "public, max-age=86400"
ASK_AGAIN: Final = "no-cache"


@dataclass(frozen=True, slots=True)
class Page:
    """Something that is shown as it is."""

    deadline_s: ClassVar[float | None] = 5.0

    summary: str
    content: Callable[[Visit], web.Response]
    media_type: str = "text/html"

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        must_have_none(visit.request)
        return self.content(visit)

    @property
    def documented(self) -> Documented:
        return Documented(summary=self.summary, answers={200: None}, media_type=self.media_type)


def pages() -> Sequence[Route]:
    """The rows of the table that are for browsers."""
    return (
        Route("GET", "/", Page("Show the lanes as they are now.", _index), PUBLIC),
        Route("GET", "/docs", Page("Show this description, to try it out.", _docs), PUBLIC),
        Route("GET", "/openapi.json", Page("Give this description.", _openapi, "application/json"), PUBLIC),
        Route("GET", "/problems", Page("Show the kinds of problems.", _problems), PUBLIC),
        Route("GET", "/problems/{problem}", Page("Show a kind of problem.", _problem), PUBLIC),
        Route("GET", "/static/{asset}", Page("Give what the pages are made of.", _asset, "*/*"), PUBLIC),
    )


def _index(_: Visit) -> web.Response:
    return _html(_read(HERE / "index.html"))


def _docs(_: Visit) -> web.Response:
    return _html(_read(HERE / "docs.html"), policy=POLICY_OF_DOCS)


def _openapi(visit: Visit) -> web.Response:
    body = json.dumps(visit.request.app[openapi.DOCUMENT], ensure_ascii=False).encode()
    return web.Response(body=body, content_type="application/json", headers={hdrs.CACHE_CONTROL: ASK_AGAIN})


def _problems(_: Visit) -> web.Response:
    return _html(_list("Problems", KINDS))


def _problem(visit: Visit) -> web.Response:
    """The kind of that name; any other name is a rule's, by which a command was refused."""
    name = visit.path["problem"]
    kind = next((one for one in KINDS if one.name == name), COMMAND_REFUSED)
    return _html(_list(name, [kind]))


def _asset(visit: Visit) -> web.Response:
    name: str = visit.path["asset"]
    if name in OWN:
        path, caching = HERE / name, ASK_AGAIN
    elif name in SWAGGER_UI:
        path, caching = _swagger_ui() / name, ONE_DAY
    else:
        raise Problem(NOT_FOUND)
    return web.Response(
        body=_read(path), content_type=TYPES[path.suffix], charset="utf-8", headers={hdrs.CACHE_CONTROL: caching}
    )


def _html(body: bytes, policy: str = POLICY) -> web.Response:
    headers = {"Content-Security-Policy": policy, hdrs.CACHE_CONTROL: ASK_AGAIN}
    return web.Response(body=body, content_type="text/html", charset="utf-8", headers=headers)


def _list(title: str, kinds: Sequence[Kind]) -> bytes:
    rows = "\n".join(_row(kind) for kind in kinds)
    return Template(_read(HERE / "problems.html").decode()).substitute(title=escape(title), problems=rows).encode()


def _row(kind: Kind) -> str:
    address = escape(PATH + kind.name)
    return (
        f'        <div id="{escape(kind.name)}"><dt>{escape(kind.title)}'
        f'<a href="{address}"><code>{kind.status} {address}</code></a></dt><dd>{_prose(kind.advice)}</dd></div>'
    )


def _prose(text: str) -> str:
    """Escaped, with what stands between backquotes as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts))


@cache
def _read(path: Path) -> bytes:
    return path.read_bytes()


@cache
def _swagger_ui() -> Path:
    """Where the wheel swagger-ui-py keeps Swagger UI; nothing of its own code is run."""
    found = find_spec("swagger_ui")
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0]) / "static"
