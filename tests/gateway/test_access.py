"""Who may use what: the table of routes against every kind of caller."""

import base64
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bus.identity import uuid7
from bus.tokens import PublicKey
from gateway.access import PUBLIC, Access, Owner, Takes
from gateway.app import AccessMissing, all_routes, make_app
from gateway.health import Live
from gateway.routing import Route, names_in
from gateway.server import Runner
from handlers.auth.events import DeviceRegistered, Role
from handlers.auth.issuing import service_token
from handlers.auth.signing import SigningKey
from tests.gateway.gate import Gate

ROLES: tuple[Role, ...] = ("shooter", "instructor", "armourer", "cashier", "analyst", "admin")
CODES = {
    "code": "generic",
    "range": "club",
    "lane": "lane-1",
    "weapon_type": "air-pistol",
    "device": "target-1",
    "currency": "EUR",
    "service": "booking",
    "position": "1",
}

ONLY = {
    "GET /v1/dead-letters": "admin",
    "GET /v1/dead-letters/{service}/{position}": "admin",
    "POST /v1/dead-letters/requeue": "admin",
    "POST /v1/dead-letters/discard": "admin",
    "PUT /v1/ranges/{range}": "admin",
    "PUT /v1/lanes/{lane}": "admin",
    "POST /v1/lanes/{lane}/closures": "admin",
    "POST /v1/lanes/{lane}/closures/{closure}/end": "admin",
    "POST /v1/ranges/{range}/cease-fire": "admin armourer cashier instructor",
    "POST /v1/ranges/{range}/resume-fire": "admin instructor",
    "GET /v1/ranges/{range}/cease-fires": "admin armourer cashier instructor",
    "PUT /v1/people/{person}/age": "admin armourer instructor",
    "PUT /v1/rules/{code}": "admin",
    "POST /v1/rules/trial": "admin",
    "PUT /v1/people/{person}/roles": "admin",
    "POST /v1/people/{person}/disable": "admin",
    "POST /v1/people/{person}/enable": "admin",
    "PUT /v1/prices/{currency}": "admin",
    "POST /v1/people/{person}/licences": "admin armourer instructor",
    "POST /v1/people/{person}/licences/{licence}/confirm": "admin armourer instructor",
    "POST /v1/people/{person}/licences/{licence}/suspend": "admin armourer instructor",
    "POST /v1/people/{person}/licences/{licence}/revoke": "admin armourer instructor",
    "POST /v1/bookings/{booking}/finish": "admin instructor",
    "POST /v1/bookings/{booking}/transfer": "admin instructor",
    "POST /v1/bookings/{booking}/weapon": "admin armourer",
    "POST /v1/bookings/{booking}/weapon/return": "admin armourer",
    "PUT /v1/weapon-types/{weapon_type}": "admin armourer",
    "POST /v1/weapons": "admin armourer",
    "GET /v1/weapons/{weapon}/custody": "admin armourer",
    "GET /v1/weapons/{weapon}/handovers": "admin armourer",
    "POST /v1/weapons/{weapon}/handovers/correct": "admin armourer",
    "PUT /v1/weapons/{weapon}/location": "admin armourer",
    "PUT /v1/weapons/{weapon}/condition": "admin armourer",
    "PUT /v1/weapons/{weapon}/owner": "admin armourer",
    "POST /v1/weapons/{weapon}/retire": "admin armourer",
    "POST /v1/weapons/{weapon}/loss": "admin armourer instructor",
    "POST /v1/weapons/{weapon}/recover": "admin armourer",
    "POST /v1/weapons/{weapon}/quarantine": "admin armourer",
    "POST /v1/weapons/{weapon}/release": "admin armourer",
    "POST /v1/weapons/{weapon}/services": "admin armourer",
    "GET /v1/weapons/{weapon}/services": "admin armourer",
    "POST /v1/weapons/{weapon}/service-plan": "admin armourer",
    "POST /v1/weapons/{weapon}/service-plan/cancel": "admin armourer",
    "PUT /v1/weapon-types/{weapon_type}/service-interval": "admin armourer",
    "GET /v1/weapons-out": "admin armourer instructor",
    "GET /v1/reservations-beyond-stock": "admin armourer",
    "POST /v1/stock-audits": "admin armourer",
    "GET /v1/stock-audits/{audit}": "admin armourer",
    "POST /v1/incidents": "admin armourer instructor",
    "GET /v1/incidents": "admin armourer instructor",
    "POST /v1/ranges/{range}/close-day": "admin armourer instructor",
    "GET /v1/ammunition": "admin armourer",
    "POST /v1/ammunition": "admin armourer",
    "POST /v1/ammunition/write-off": "admin armourer",
    "POST /v1/ammunition/recall": "admin armourer",
    "POST /v1/ammunition/reinstate": "admin armourer",
    "GET /v1/ammunition/issued": "admin armourer",
    "GET /v1/ammunition/differences": "admin armourer instructor",
    "POST /v1/bookings/{booking}/ammunition/explain": "admin armourer",
    "POST /v1/devices": "admin armourer",
    "POST /v1/devices/{device}/revoke": "admin armourer",
    "POST /v1/invoices/{invoice}/payments": "admin cashier",
    "POST /v1/invoices/{invoice}/refunds": "admin cashier",
    "GET /v1/trial-balance": "admin cashier",
    "POST /v1/results/{session}/corrections": "admin instructor",
    "POST /v1/results/{session}/assignments": "admin instructor",
    "GET /v1/unassigned-shots": "admin instructor",
    "GET /v1/finals": "admin instructor",
    "POST /v1/lanes/{lane}/imports/shotmarker-csv": "admin instructor",
    "POST /v1/lanes/{lane}/imports/shotmarker-tar": "admin instructor",
    "POST /v1/lanes/{lane}/imports/targetscan": "admin instructor",
    "GET /v1/targets": "admin armourer cashier instructor",
    "POST /v1/club-reports": "admin analyst instructor",
    "GET /v1/events": "analyst",
}
EVERYBODY = {
    "POST /v1/people",
    "POST /v1/bootstrap",
    "POST /v1/sessions",
    "POST /v1/sessions/refresh",
    "POST /v1/sessions/logout",
    "POST /v1/devices/token",
    "GET /v1/board",
    "GET /health/live",
    "GET /health/ready",
    "GET /",
    "GET /docs",
    "GET /openapi.json",
    "GET /problems",
    "GET /problems/{problem}",
    "GET /static/{asset}",
}


STAFF = "admin armourer cashier instructor"
OWN = {
    "GET /v1/attendance": "rows: " + STAFF,
    "GET /v1/bookings": "rows: " + STAFF,
    "GET /v1/bookings/{booking}": "rows: " + STAFF,
    "GET /v1/bookings/{booking}/ammunition": "rows: " + STAFF,
    "GET /v1/commands/{command}": "rows: " + STAFF,
    "GET /v1/invoices": "rows: admin cashier",
    "GET /v1/invoices/{invoice}": "rows: admin cashier",
    "GET /v1/lanes/{lane}/live": "rows: " + STAFF,
    "GET /v1/leaderboard": "rows: admin instructor",
    "GET /v1/people/{person}": "person: " + STAFF,
    "GET /v1/people/{person}/entitlements": "person: admin armourer instructor",
    "GET /v1/people/{person}/export": "person: admin",
    "GET /v1/people/{person}/licences": "person: admin armourer instructor",
    "GET /v1/progress": "rows: admin instructor",
    "GET /v1/reports/{report}": "rows: admin",
    "GET /v1/reports/{report}/file": "rows: admin",
    "GET /v1/results": "rows: admin instructor",
    "GET /v1/results/{session}": "rows: admin instructor",
    "GET /v1/results/{session}/shots": "rows: admin instructor",
    "GET /v1/results/{session}/stability": "rows: admin instructor",
    "GET /v1/results/{session}/statistics": "rows: admin instructor",
    "GET /v1/series/{series}": "rows: " + STAFF,
    "GET /v1/slots": "rows: " + STAFF,
    "GET /v1/statistics": "rows: admin instructor",
    "GET /v1/waitlist": "rows: " + STAFF,
    "GET /v1/weapon-types/{weapon_type}/compatibility": "rows: " + STAFF,
    "GET /v1/weapons": "rows: admin armourer",
    "POST /v1/bookings": "body: " + STAFF,
    "POST /v1/bookings/{booking}/cancel": "booking: " + STAFF,
    "POST /v1/bookings/{booking}/check-in": "booking: " + STAFF,
    "POST /v1/bookings/{booking}/participants": "booking: " + STAFF,
    "POST /v1/bookings/{booking}/participants/remove": "booking: " + STAFF,
    "POST /v1/bookings/{booking}/reschedule": "booking: " + STAFF,
    "POST /v1/bookings/{booking}/start": "booking: " + STAFF,
    "POST /v1/people/{person}/erase": "person: admin",
    "POST /v1/reports/{report}/retry": "report: ",
    "POST /v1/season-reports": "body: admin instructor",
    "POST /v1/series": "body: " + STAFF,
    "POST /v1/series/{series}/cancel": "rows: " + STAFF,
    "POST /v1/session-cards": "body: admin instructor",
    "POST /v1/waitlist": "body: " + STAFF,
    "POST /v1/waitlist/{entry}/accept": "rows: " + STAFF,
    "POST /v1/waitlist/{entry}/leave": "rows: " + STAFF,
    "PUT /v1/people/{person}/sharing": "person: ",
}
LOGGED_IN = {
    "DELETE /v1/me/sessions",
    "DELETE /v1/me/sessions/{session}",
    "GET /v1/comparison",
    "GET /v1/lanes",
    "GET /v1/lanes/{lane}/closures",
    "GET /v1/me",
    "GET /v1/me/sessions",
    "GET /v1/prices",
    "GET /v1/ranges",
    "GET /v1/reports",
    "GET /v1/rules",
    "GET /v1/weapon-types",
    "POST /v1/me/second-factor",
    "POST /v1/me/second-factor/confirm",
    "POST /v1/me/second-factor/remove",
    "PUT /v1/me/password",
}
DEVICES = {
    "GET /v1/devices/{device}/shots/stream",
    "POST /v1/devices/{device}/shots",
    "POST /v1/devices/{device}/shots/lines",
}


Table = dict[str, str]


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_what_is_open_to_all_and_what_to_staff_alone_is_what_was_meant():
    routes = all_routes()
    assert {named(route) for route in routes if route.access == PUBLIC} == EVERYBODY
    only = {
        named(route): " ".join(sorted(route.access.roles))
        for route in routes
        if route.access and route.access.roles and route.access.own is None
    }
    assert only == ONLY


def meant() -> Table:
    """Every route, and who was meant to use it."""
    return {
        **dict.fromkeys(EVERYBODY, "everybody"),
        **dict.fromkeys(LOGGED_IN, "logged in"),
        **dict.fromkeys(DEVICES, "devices"),
        **{route: f"only: {roles}" for route, roles in ONLY.items()},
        **OWN,
    }


def said(routes: Iterable[Route]) -> Table:
    """The same as the gateway's table has it."""
    return {named(route): _said(route.access) for route in routes}


def _said(access: Access | None) -> str:
    assert access is not None
    roles = " ".join(sorted(access.roles))
    if access.takes is not Takes.USER:
        return "devices" if access.takes is Takes.DEVICE else "everybody"
    if access.own is not None:
        return f"{access.own.value}: {roles}"
    return "logged in" if access.everyone else f"only: {roles}"


async def test_every_cell_is_what_was_meant_and_flipping_one_is_noticed(gate: Gate):
    routes = all_routes()
    described = (await gate.get("/openapi.json")).body["paths"]
    operations = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    assert meant().keys() == operations
    assert said(routes) == meant()
    for index, route in enumerate(routes):
        access = route.access
        assert access is not None
        flipped = [replace(access, takes=takes) for takes in Takes if takes is not access.takes]
        if access.takes is Takes.USER and not access.everyone:
            flipped += [replace(access, roles=access.roles ^ {role}) for role in ROLES]
            flipped += [replace(access, own=own) for own in (None, *Owner) if own is not access.own]
            flipped.append(replace(access, own=None, everyone=True))
        for one in flipped:
            changed = [*routes[:index], replace(route, access=one), *routes[index + 1 :]]
            assert said(changed) != meant(), (named(route), one)


async def test_every_role_meets_every_route_as_the_table_says(gate: Gate):
    tokens: dict[str, str] = {role: gate.token(role) for role in ROLES}
    tokens["device"] = gate.device_token("target-2", "lane-1")
    wrong = []
    for route in all_routes():
        path = route.path.format(**{name: CODES.get(name, str(uuid7())) for name in names_in(route.path)})
        if route.access is None or route.access.takes is Takes.NONE or route.path.endswith("/live"):
            continue
        assert (await gate.ask(route.method, path)).problem == "unauthenticated", path
        for role, token in tokens.items():
            answer = await gate.ask(route.method, path, token, None if route.method == "GET" else b"{}")
            if not _as_expected(route, role, answer.status):
                wrong.append((named(route), role, answer.status, answer.body))
    assert wrong == []


def _as_expected(route: Route, role: str, status: int) -> bool:
    access = route.access
    assert access is not None
    if (access.takes is Takes.DEVICE) != (role == "device"):
        return status == 401
    if access.takes is Takes.DEVICE:
        return status == 404  # another device's
    if role in access.roles or access.everyone:
        return status not in {401, 403}
    if access.own in {Owner.PERSON, Owner.BOOKING}:
        return status == 404
    return status not in {401, 403} if access.own else status == 403


async def test_a_route_without_access_keeps_the_gateway_from_starting(gate: Gate):
    await _must_not_start(make_app(gate.ports, [Route("GET", "/v1/secret", Live())]))
    bare = make_app(gate.ports, [Route("GET", "/health/live", Live(), PUBLIC)])
    bare.router.add_post("/v1/backdoor", _anything)
    await _must_not_start(bare)


async def _anything(request: web.Request) -> web.Response:
    return web.Response(text=request.path)


async def _must_not_start(app: web.Application) -> None:
    runner = Runner(app)
    with pytest.raises(AccessMissing):
        await runner.setup()
    await runner.cleanup()


async def test_forged_tokens_are_refused_alike(gate: Gate):
    now = datetime.now(UTC)
    key = gate.signer.key_at(now)
    raw = key.public.key.public_bytes_raw()
    pem = key.public.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims = jwt.decode(gate.token(), options={"verify_signature": False})
    header = {"kid": key.kid, "typ": "at+jwt"}

    def signed(private: Any = key.private, headers: dict[str, Any] | None = None, **changed: Any) -> str:
        return jwt.encode({**claims, **changed}, private, algorithm="EdDSA", headers={**header, **(headers or {})})

    def unsigned(alg: str, mac: bytes = b"") -> str:
        head = {"alg": alg, **header}
        parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in (head, claims)]
        return ".".join([*parts, base64.urlsafe_b64encode(mac).rstrip(b"=").decode()])

    fresh = service_token(key, "booking", uuid7(), ["booking.lane-held"], now)
    forged = {
        "none": unsigned("none"),
        "None": unsigned("None"),
        "HS256 with the raw key": _hs256(raw, claims, header),
        "HS256 with the PEM": _hs256(pem, claims, header),
        "another key": signed(Ed25519PrivateKey.generate()),
        "a kid that is a path": signed(headers={"kid": "../../etc/passwd"}),
        "a kid that is SQL": signed(headers={"kid": "' OR 1=1 --"}),
        "a jku": signed(headers={"jku": "https://evil.example/keys"}),
        "expired": signed(iat=int(now.timestamp()) - 900, exp=int(now.timestamp()) - 600),
        "lives for ever": signed(exp=10**9 + int(now.timestamp())),
        "another audience": signed(aud="bus"),
        "another issuer": signed(iss="somebody"),
        "a device's typ": signed(headers={"typ": "device+jwt"}),
        "no typ": signed(headers={"typ": None}),
        "a service's": fresh.token,
        "a device's": gate.device_token("target-1", "lane-1"),
        "a megabyte": "a" * 7000 + "." + "b" * 900 + ".c",
        "rubbish": "rubbish",
        "umlauts": "ä.ö.ü",
    }
    answers = {what: await gate.get("/v1/lanes", token) for what, token in forged.items()}
    assert {what: answer.status for what, answer in answers.items()} == dict.fromkeys(forged, 401)
    assert {answer.problem for answer in answers.values()} == {"unauthenticated"}
    assert len({json.dumps({**one.body, "request_id": ""}) for one in answers.values()}) == 1, "they tell nothing"
    assert {one.headers["WWW-Authenticate"] for one in answers.values()} == {"Bearer"}
    assert (await gate.get("/v1/lanes", signed())).status == 200


def _hs256(secret: bytes, claims: dict[str, Any], header: dict[str, Any]) -> str:
    import hashlib
    import hmac

    head = {"alg": "HS256", **header}
    parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in (head, claims)]
    mac = hmac.new(secret, b".".join(parts), hashlib.sha256).digest()
    return b".".join([*parts, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()


async def test_a_new_key_is_looked_up_when_a_token_names_it(gate: Gate, monkeypatch: pytest.MonkeyPatch):
    assert (await gate.get("/v1/lanes", gate.token())).status == 200
    monkeypatch.setattr("gateway.keys.READ_AT_MOST_EVERY_S", 0.0)
    private, kid = Ed25519PrivateKey.generate(), "a-new-key"
    since = datetime.now(UTC) - timedelta(seconds=1)
    await gate.fetch("UPDATE auth.signing_key SET retired_at = $1", since + timedelta(seconds=1))
    await gate.fetch(
        "INSERT INTO auth.signing_key VALUES ($1, $2, '', $3, $3)", kid, private.public_key().public_bytes_raw(), since
    )
    key = SigningKey(kid, private, since, None)
    assert isinstance(key.public, PublicKey)
    claims = jwt.decode(gate.token(), options={"verify_signature": False})
    token = jwt.encode(claims, private, algorithm="EdDSA", headers={"kid": kid, "typ": "at+jwt"})
    assert (await gate.get("/v1/lanes", token)).status == 200


async def test_a_device_reports_for_itself_and_its_lane_alone(gate: Gate):
    await gate.say("auth", DeviceRegistered(device="target-1", lane="lane-1"))
    token = gate.device_token("target-1", "lane-1")
    body: dict[str, list[object]] = {"shots": []}
    assert (await gate.post("/v1/devices/target-1/shots", body, token)).status == 200
    assert (await gate.post("/v1/devices/target-2/shots", body, token)).problem == "not-found"
    assert (await gate.post("/v1/devices/target-1/shots", body, gate.token("admin"))).problem == "unauthenticated"
    assert gate.pushed == [(b'{"shots": []}', "target-1", "lane-1")]
