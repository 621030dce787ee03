"""Bad input over HTTP: a problem that says what is wrong, never a fault, and nothing in the log."""

import json
from typing import Any

from bus.identity import uuid7
from tests.gateway import examples
from tests.gateway.gate import Gate

BOOKINGS = "/v1/bookings"
HEAD = json.dumps(examples.WISH)[:-1].encode()  # ends before its closing brace
MALFORMED = (400, "malformed-body")
INVALID = (422, "invalid-request")
NOT_JSON = (415, "unsupported-media-type")

BODIES: dict[str, tuple[bytes, tuple[int, str]]] = {
    "nothing": (b"", INVALID),
    "no object": (b"[1, 2]", INVALID),
    "a number": (b"7", INVALID),
    "half of it": (HEAD, MALFORMED),
    "two of it": (HEAD + b"}{}", MALFORMED),
    "an unknown member": (HEAD + b', "paid": true}', INVALID),
    "a member of the path": (HEAD + b', "booking": "0192aaaa-0000-7000-8000-000000000000"}', INVALID),
    "a member twice": (HEAD + b', "rounds": 1, "rounds": 2}', MALFORMED),
    "a member twice, once escaped": (HEAD + b', "rounds": 1, "r\\u006funds": 2}', MALFORMED),
    "NaN": (HEAD + b', "rounds": NaN}', INVALID),
    "Infinity": (HEAD + b', "rounds": Infinity}', INVALID),
    "minus Infinity": (HEAD + b', "rounds": -Infinity}', INVALID),
    "1e999": (HEAD + b', "rounds": 1e999}', INVALID),
    "minus zero, as a float": (HEAD + b', "rounds": -0.0}', INVALID),
    "one, as a float": (HEAD + b', "rounds": 1.0}', INVALID),
    "true for a number": (HEAD + b', "rounds": true}', INVALID),
    "text for a number": (HEAD + b', "rounds": "10"}', INVALID),
    "an underscore in a number": (HEAD + b', "rounds": "1_0"}', INVALID),
    "a negative number": (HEAD + b', "rounds": -1}', INVALID),
    "a huge number": (HEAD + b', "rounds": 10000000000}', INVALID),
    "a number of 4000 digits": (HEAD + b', "rounds": ' + b"1" + b"0" * 4000 + b"}", INVALID),
    "a number of 5000 digits": (HEAD + b', "rounds": ' + b"9" * 5000 + b"}", MALFORMED),
    "a NUL": (HEAD + b', "weapon_type": "air\\u0000pistol"}', INVALID),
    "a raw NUL": (HEAD + b', "weapon_type": "air\x00pistol"}', MALFORMED),
    "a lone surrogate": (HEAD + b', "weapon_type": "\\ud800"}', MALFORMED),
    "bad UTF-8": (HEAD + b', "weapon_type": "\xff\xfe"}', MALFORMED),
    "overlong UTF-8": (HEAD + b', "weapon_type": "\xc0\x80"}', MALFORMED),
    "a byte order mark": (b"\xef\xbb\xbf" + HEAD + b"}", MALFORMED),
    "UTF-16": (HEAD.decode().encode("utf-16"), MALFORMED),
    "20,000 brackets": (b"[" * 20_000, MALFORMED),
    "20,000 braces": (b'{"a":' * 10_000, MALFORMED),
    "deep in a member": (HEAD + b', "rounds": ' + b"[" * 500 + b"]" * 500 + b"}", MALFORMED),
    "a name that is no code": (HEAD + b', "weapon_type": "Air Pistol"}', INVALID),
    "null where there must be something": (HEAD.replace(b'"lane-1"', b"null") + b"}", INVALID),
}


async def test_every_wrong_body_is_a_problem_and_changes_nothing(gate: Gate):
    token = gate.token()
    for what, (body, expected) in BODIES.items():
        answer = await gate.ask("POST", BOOKINGS, token, body)
        assert (answer.status, answer.problem) == expected, what
    assert await gate.logged() == []


async def test_the_problem_points_to_what_is_wrong(gate: Gate):
    wish = {**examples.WISH, "rounds": -1, "paid": True}
    del wish["lane"]
    answer = await gate.post(BOOKINGS, wish, gate.token())
    assert {one["pointer"] for one in answer.body["errors"]} == {"#/lane", "#/rounds", "#/paid"}
    nested = {"tax_permille": 0, "lane_hour_minor": 0, "weapon_minor": {"air/rifle~": -98765}, "round_minor": {}}
    answer = await gate.put("/v1/prices/EUR", nested, gate.token("admin"))
    assert answer.body["errors"][0]["pointer"].startswith("#/weapon_minor/air~1rifle~0")
    assert "98765" not in json.dumps(answer.body), "what was sent is not repeated"


async def test_times_have_an_offset_and_lie_in_a_sane_window(gate: Gate):
    token = gate.token()
    moments: tuple[object, ...] = (
        "2026-06-01T10:00:00",
        "2026-06-01",
        1_780_000_000,
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2026-06-01T10:00:00+99:99",
        "infinity",
        "now",
        "",
        None,
        [],
    )
    for moment in moments:
        answer = await gate.post(BOOKINGS, {**examples.WISH, "starts_at": moment}, token)
        assert (answer.status, answer.problem) == INVALID, moment
    assert await gate.logged() == []


async def test_amounts_are_whole_positive_and_bounded_and_currencies_known(gate: Gate):
    token, path = gate.token("cashier"), f"/v1/invoices/{uuid7()}/payments"
    right: dict[str, Any] = {"amount_minor": 500, "currency": "EUR", "method": "cash"}
    for wrong in (
        {"amount_minor": 0},
        {"amount_minor": -500},
        {"amount_minor": 5.5},
        {"amount_minor": "500"},
        {"amount_minor": 10**13},
        {"currency": "eur"},
        {"currency": "EURO"},
        {"currency": "€"},
        {"method": "promise"},
        {"taken_by": str(uuid7())},
    ):
        answer = await gate.post(path, right | wrong, token)
        assert (answer.status, answer.problem) == INVALID, wrong
    assert await gate.logged() == []
    assert (await gate.post(path, right, token)).status == 202


async def test_a_body_is_json_in_utf_8_and_says_so(gate: Gate):
    token = gate.token()
    body = HEAD + b"}"
    for headers in (
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "multipart/form-data; boundary=x"},
        {"Content_Type": "application/json; charset=nonsense"},
        {"Content_Type": "application/json; charset=utf-16"},
        {"Content_Type": "application/json", "Content_Encoding": "gzip"},
        {"Content_Type": "application/json", "Content_Encoding": "nonsense"},
    ):
        answer = await gate.ask("POST", BOOKINGS, token, body, headers=headers)
        assert (answer.status, answer.problem) == NOT_JSON, headers
    assert await gate.logged() == []
    named = {"Content_Type": "application/json; charset=UTF-8"}
    assert (await gate.ask("POST", BOOKINGS, token, body, headers=named)).status == 202


async def test_a_body_has_64_kib_at_most(gate: Gate):
    token = gate.token()
    fitting = HEAD + b" " * (64 * 1024 - len(HEAD) - 1) + b"}"
    assert (await gate.ask("POST", BOOKINGS, token, fitting)).status == 202
    answer = await gate.ask("POST", BOOKINGS, token, fitting + b" ")
    assert (answer.status, answer.problem) == (413, "body-too-large")


async def test_a_query_knows_its_parameters_and_takes_each_once(gate: Gate):
    token = gate.token()
    day = "from=2026-06-01T00:00:00Z&to=2026-06-02T00:00:00Z"
    for path in (
        "/v1/bookings",
        "/v1/bookings?from=2026-06-01&to=2026-06-02",
        "/v1/bookings?from=2026-06-02T00:00:00Z&to=2026-06-01T00:00:00Z",
        "/v1/bookings?from=2026-06-01T00:00:00Z&to=2026-07-03T00:00:00Z",
        "/v1/bookings?from=1780000000&to=1780000001",
        f"/v1/bookings?{day}&limit=0",
        f"/v1/bookings?{day}&limit=201",
        f"/v1/bookings?{day}&limit=1_0",
        f"/v1/bookings?{day}&limit=10&limit=20",
        f"/v1/bookings?{day}&cursor=x",
        f"/v1/bookings?{day}&sort=person",
        "/v1/results?from=2026-06-01T00:00:00Z&to=2027-06-03T00:00:00Z",
        "/v1/progress?from=2026-06-01T00:00:00Z&to=2026-06-02T00:00:00Z",
        "/v1/slots?date=2026-13-01",
        "/v1/slots?date=1780000000",
        "/v1/slots?date=2026-06-01&range=%00",
        "/v1/ranges?min-position=7",
        "/v1/ranges?min-position=1-99999999999999999999",
        "/v1/board?x=1",
    ):
        answer = await gate.get(path, token)
        assert (answer.status, answer.problem) == INVALID, path
        assert answer.body["errors"][0]["parameter"], path
    assert (await gate.get(f"/v1/bookings?{day}", token)).status == 200


async def test_prefer_and_unknown_query_parameters_of_commands(gate: Gate):
    token = gate.token()
    for prefer in ("wait=abc", "wait=-5", "wait", "return=minimal"):
        assert (await gate.post(BOOKINGS, examples.WISH, token, Prefer=prefer)).status == 202, prefer
    assert (await gate.post(f"{BOOKINGS}?dry-run=1", examples.WISH, token)).problem == "invalid-request"
