"""What goes wrong at the gate, each kind with a stable name: RFC 9457 problem details."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import hdrs, web

MEDIA_TYPE: Final = "application/problem+json"
PATH: Final = "/problems/"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its name in the type's URI, its status, what it is, and what to do about it."""

    name: str
    status: int
    title: str
    advice: str


MALFORMED_BODY: Final = Kind(
    "malformed-body",
    400,
    "The body cannot be read.",
    "Send one JSON object in UTF-8, without a byte order mark, that names no member twice. `detail` says where "
    "reading stopped.",
)
MALFORMED_REQUEST: Final = Kind(
    "malformed-request",
    400,
    "The request cannot be read.",
    "A header or the way the body was sent is not as HTTP has it.",
)
UNAUTHENTICATED: Final = Kind(
    "unauthenticated",
    401,
    "This needs a valid access token.",
    "Log in with `POST /v1/sessions` and send the token as `Authorization: Bearer …`. Access tokens last five minutes; "
    "`POST /v1/sessions/refresh` gives a new one.",
)
NOT_PERMITTED: Final = Kind(
    "not-permitted", 403, "Your roles do not permit this.", "Ask somebody who may; the API's documentation says who."
)
NOT_FOUND: Final = Kind(
    "not-found",
    404,
    "There is nothing here that you may see.",
    "The address or the id is wrong, or it belongs to somebody else. What was asked for a moment ago may not be "
    "there yet: `GET /v1/commands/{command}` tells how that stands.",
)
METHOD_NOT_ALLOWED: Final = Kind(
    "method-not-allowed", 405, "This address does not take that method.", "The `Allow` header says which it takes."
)
BODY_TOO_SLOW: Final = Kind("body-too-slow", 408, "The body did not come in time.", "Send it at once, and whole.")
COMMAND_REFUSED: Final = Kind(
    "command-refused",
    409,
    "A rule of the range refuses this.",
    "`refused_by` says which service, `rule` and `rule_version` by which rule, and `reason` why. Asking again the same "
    "way leads to the same answer as long as things stand as they do. The type of such a problem is the rule's name.",
)
FOREIGN_EPOCH: Final = Kind(
    "foreign-epoch",
    409,
    "This position belongs to another life of the log.",
    "The range's data was restored since. Forget the positions you kept, and read anew.",
)
TOO_FAR_BACK: Final = Kind(
    "too-far-back",
    410,
    "Too much has happened since.",
    "Read how things stand, and follow from now on, without `Last-Event-ID`.",
)
REPORT_NOT_MADE: Final = Kind(
    "report-not-made",
    409,
    "The report is not made yet.",
    "`GET /v1/reports/{report}` tells how far it is. If it failed, `detail` says why, and "
    "`POST /v1/reports/{report}/retry` tries it once more.",
)
REPORT_EXPIRED: Final = Kind(
    "report-expired", 410, "The report's file is not kept any more.", "Order the report again."
)
TOO_LARGE: Final = Kind("body-too-large", 413, "The body is too large.", "Bodies have 64 KiB at most.")
UNSUPPORTED_MEDIA_TYPE: Final = Kind(
    "unsupported-media-type",
    415,
    "The body is not sent as JSON.",
    "Send it as `Content-Type: application/json`, in UTF-8 and not compressed.",
)
INVALID: Final = Kind(
    "invalid-request",
    422,
    "Something in the request is not as it should be.",
    "`errors` names each place, by JSON pointer in the body or by parameter, and what should be there.",
)
KEY_CONFLICT: Final = Kind(
    "idempotency-key-reused",
    422,
    "This Idempotency-Key was used for something else.",
    "The same key means the same request. Take a new key for a new one.",
)
TOO_MANY_STREAMS: Final = Kind(
    "too-many-streams", 429, "You follow too much at once.", "End one of your streams first."
)
TOO_MANY_REQUESTS: Final = Kind(
    "too-many-requests",
    429,
    "You ask for too much at once.",
    "Ask again after `Retry-After` seconds; nothing was done.",
)
FAULT: Final = Kind(
    "fault",
    500,
    "This failed because of a fault on our side.",
    "It has been noted under `request_id`. Ask again with the same Idempotency-Key: nothing is done twice.",
)
COMMAND_FAILED: Final = Kind(
    "command-failed",
    500,
    "This could not be carried out because of a fault on our side.",
    "It has been noted; nothing was changed. Asking again needs a new Idempotency-Key.",
)
BUSY: Final = Kind(
    "busy",
    503,
    "The range cannot take more now.",
    "Whether this came through is told by asking again with the same Idempotency-Key, after `Retry-After` seconds.",
)
JOURNAL_FULL: Final = Kind(
    "journal-full",
    503,
    "The range has no room to keep more shots.",
    "None of this was taken. Send it again after `Retry-After` seconds.",
)
DATABASE_AWAY: Final = Kind(
    "database-away", 503, "The range's database is away for the moment.", "Ask again after `Retry-After` seconds."
)
AUTH_AWAY: Final = Kind(
    "auth-away",
    503,
    "Accounts are out of reach for the moment.",
    "Nobody can register or log in. Ask again after `Retry-After` seconds; tokens that were given out keep working.",
)
VIEW_BEHIND: Final = Kind(
    "view-behind",
    503,
    "What you ask for has not caught up with `min-position` yet.",
    "Ask again after `Retry-After` seconds.",
)
TOO_LONG: Final = Kind(
    "too-long",
    503,
    "This took too long.",
    "Whether it was done is told by asking again with the same Idempotency-Key, after `Retry-After` seconds.",
)
HTTP_VERSION: Final = Kind("http-version", 505, "This speaks HTTP/1.0 and HTTP/1.1.", "Use one of them.")

KINDS: Final = (
    MALFORMED_BODY, MALFORMED_REQUEST, UNAUTHENTICATED, NOT_PERMITTED, NOT_FOUND, METHOD_NOT_ALLOWED, BODY_TOO_SLOW,
    COMMAND_REFUSED, REPORT_NOT_MADE, REPORT_EXPIRED, FOREIGN_EPOCH, TOO_FAR_BACK, TOO_LARGE, UNSUPPORTED_MEDIA_TYPE,
    INVALID, KEY_CONFLICT,
    TOO_MANY_STREAMS, TOO_MANY_REQUESTS, FAULT,
    COMMAND_FAILED, BUSY, JOURNAL_FULL, DATABASE_AWAY, AUTH_AWAY, VIEW_BEHIND, TOO_LONG, HTTP_VERSION,
)  # fmt: skip


class Problem(Exception):  # noqa: N818 - an answer, not a fault
    """Ends the handling of a request with a problem document."""

    def __init__(
        self,
        kind: Kind,
        detail: str | None = None,
        *,
        name: str | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail or kind.title)
        self.kind = kind
        self.detail = detail
        self.name = name or kind.name
        self.headers = dict(headers or {})
        self.members = members

    def response(self, request_id: str) -> web.Response:
        document = {
            "type": PATH + self.name,
            "title": self.kind.title,
            "status": self.kind.status,
            **({"detail": self.detail} if self.detail else {}),
            "request_id": request_id,
            **self.members,
        }
        return web.Response(
            status=self.kind.status, body=json.dumps(document).encode(), content_type=MEDIA_TYPE, headers=self.headers
        )


def again_after(kind: Kind, seconds: int, detail: str | None = None) -> Problem:
    return Problem(kind, detail, headers={hdrs.RETRY_AFTER: str(seconds)})


def invalid(*errors: Mapping[str, str]) -> Problem:
    """Each error has a `pointer` into the body, or the name of a `parameter`, and a `detail`."""
    return Problem(INVALID, errors=list(errors))
