"""The endpoint's addresses: each reads a body, asks one function of auth, and answers."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from pydantic import BaseModel

from bus.tokens import DeviceClaims, UserClaims
from handlers.auth import devices, enrolment, erasure, own_logins, people, recording, second_factor, sessions, trying
from handlers.auth.desk import Desk
from handlers.auth.endpoint import answers, bodies
from handlers.auth.endpoint.reading import body_of, caller_of, id_in_path, owner_of
from handlers.auth.people import Newcomer
from handlers.auth.recording import Entry

DESK: Final = web.AppKey("desk", Desk)
BOOTSTRAP_SECRET: Final = web.AppKey("bootstrap_secret", str)


async def register(request: web.Request) -> web.Response:
    body = await body_of(request, bodies.Registration)
    person = await people.register(request.app[DESK], _newcomer(body))
    return _answer(answers.Registered(person=person), 201)


async def bootstrap(request: web.Request) -> web.Response:
    body = await body_of(request, bodies.Bootstrap)
    expected = request.app[BOOTSTRAP_SECRET]
    given = body.secret.get_secret_value()
    person = await people.bootstrap_admin(request.app[DESK], given, expected, _newcomer(body))
    return _answer(answers.Registered(person=person), 201)


async def log_in(request: web.Request) -> web.Response:
    body = await body_of(request, bodies.Attempt)
    password = body.password.get_secret_value()
    code = None if body.code is None else body.code.get_secret_value()
    return _tokens(await sessions.log_in(request.app[DESK], body.login, password, body.address, code))


async def refresh(request: web.Request) -> web.Response:
    body = await body_of(request, bodies.Refresh)
    return _tokens(await sessions.refresh(request.app[DESK], body.refresh_token.get_secret_value()))


async def log_out(request: web.Request) -> web.Response:
    body = await body_of(request, bodies.Refresh)
    await sessions.log_out(request.app[DESK], body.refresh_token.get_secret_value())
    return web.Response(status=204)


async def list_sessions(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    found = await own_logins.list_sessions(desk, await owner_of(request, desk))
    return _answer(answers.Logins.model_validate({"items": found}, from_attributes=True))


async def end_session(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    await own_logins.end_session(desk, await owner_of(request, desk), id_in_path(request, "session"))
    return web.Response(status=204)


async def end_sessions(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    await own_logins.end_sessions(desk, await owner_of(request, desk))
    return web.Response(status=204)


async def change_password(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    caller = await owner_of(request, desk)
    body = await body_of(request, bodies.PasswordChange)
    old, new = body.old_password.get_secret_value(), body.new_password.get_secret_value()
    code = None if body.code is None else body.code.get_secret_value()
    return _tokens(await own_logins.change_password(desk, caller, old, new, code))


async def enrol_second_factor(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    caller = await owner_of(request, desk)
    body = await body_of(request, bodies.PasswordProof)
    enrolled = await second_factor.enrol(desk, caller, body.password.get_secret_value())
    return _answer(answers.SecondFactor(secret=enrolled.secret, uri=enrolled.uri), 201)


async def confirm_second_factor(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    caller = await owner_of(request, desk)
    body = await body_of(request, bodies.CodeProof)
    codes = await second_factor.confirm(desk, caller, body.code.get_secret_value())
    return _answer(answers.RecoveryCodes(recovery_codes=list(codes)))


async def remove_second_factor(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    caller = await owner_of(request, desk)
    body = await body_of(request, bodies.FullProof)
    await second_factor.remove(desk, caller, body.password.get_secret_value(), body.code.get_secret_value())
    return web.Response(status=204)


async def read_person(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    caller = await caller_of(request, desk)
    profile = await people.profile(desk, caller, id_in_path(request, "person"))
    return _answer(answers.PersonProfile.model_validate(profile, from_attributes=True))


async def export(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    caller = await caller_of(request, desk)
    held = await erasure.export(desk, caller, id_in_path(request, "person"))
    return _answer(answers.Export.model_validate(held, from_attributes=True))


async def erase(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    caller = await caller_of(request, desk)
    body = await body_of(request, bodies.PasswordProof)
    await erasure.erase(desk, caller, id_in_path(request, "person"), body.password.get_secret_value())
    return web.Response(status=204)


async def record_licence(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    caller = await caller_of(request, desk)
    body = await body_of(request, bodies.LicenceEntry)
    entry = Entry(body.category, body.number, body.authority, body.valid_from, body.valid_until)
    licence = await recording.record_licence(desk, caller, id_in_path(request, "person"), entry)
    return _answer(answers.RecordedLicence(licence=licence), 201)


async def try_rules(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    caller = await caller_of(request, desk)
    body = await body_of(request, bodies.RulesOnTrial)
    trial = await trying.try_rules(desk, caller, body.rule_set)
    first = [
        answers.RefusedOnTrial(
            booking=one.booked.booking,
            person=one.booked.person,
            weapon_class=one.booked.weapon_class,
            starts_at=one.booked.starts_at,
            ends_at=one.booked.ends_at,
            rule=one.refused.rule,
            reason=one.refused.reason,
        )
        for one in trial.first
    ]
    return _answer(
        answers.RulesTrial(
            until=trial.until, tried=trial.tried, refused=trial.refused, complete=trial.complete, first=first
        )
    )


async def register_device(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    caller = await caller_of(request, desk)
    body = await body_of(request, bodies.DeviceEntry)
    secret = await devices.register_device(desk, caller, body.device, body.lane, body.public_key)
    return _answer(answers.DeviceSecret(device=body.device, lane=body.lane, secret=secret), 201)


async def admit_device(request: web.Request) -> web.Response:
    body = await body_of(request, bodies.DeviceProof)
    admitted = await devices.admit_device(request.app[DESK], body.device, body.secret.get_secret_value())
    return _answer(
        answers.DeviceToken(
            access_token=admitted.access_token, expires_in_s=DeviceClaims.longest_s, lanes=admitted.lanes
        )
    )


async def admit_service(request: web.Request) -> web.Response:
    body = await body_of(request, bodies.ServiceProof)
    secret = body.secret.get_secret_value()
    token = await enrolment.admit_service(request.app[DESK], body.service, secret, body.boot, body.names)
    return _answer(answers.ServiceStatement.model_validate(token, from_attributes=True))


async def health(request: web.Request) -> web.Response:
    async with request.app[DESK].transaction() as connection:
        await connection.execute("SELECT 1")
    return web.json_response({"status": "ok"})


ROUTES: Final = (
    web.post("/people", register),
    web.get("/people/{person}", read_person, allow_head=False),
    web.get("/people/{person}/export", export, allow_head=False),
    web.post("/people/{person}/erase", erase),
    web.get("/people/{person}/sessions", list_sessions, allow_head=False),
    web.delete("/people/{person}/sessions", end_sessions),
    web.delete("/people/{person}/sessions/{session}", end_session),
    web.put("/people/{person}/password", change_password),
    web.post("/people/{person}/second-factor", enrol_second_factor),
    web.post("/people/{person}/second-factor/confirm", confirm_second_factor),
    web.post("/people/{person}/second-factor/remove", remove_second_factor),
    web.post("/people/{person}/licences", record_licence),
    web.post("/sessions", log_in),
    web.post("/sessions/refresh", refresh),
    web.post("/sessions/logout", log_out),
    web.post("/rules/trial", try_rules),
    web.post("/devices", register_device),
    web.post("/devices/token", admit_device),
    web.post("/service-tokens", admit_service),
    web.post("/bootstrap", bootstrap),
    web.get("/health", health, allow_head=False),
)


def _newcomer(body: bodies.Registration) -> Newcomer:
    return Newcomer(body.login, body.password.get_secret_value(), body.display_name)


def _tokens(opened: sessions.LoggedIn) -> web.Response:
    return _answer(
        answers.Tokens(
            person=opened.person,
            roles=list(opened.roles),
            access_token=opened.access_token,
            expires_in_s=UserClaims.longest_s,
            refresh_token=opened.refresh_token,
            refresh_expires_at=opened.refresh_expires_at,
        )
    )


def _answer(body: BaseModel, status: int = 200) -> web.Response:
    return web.Response(status=status, body=body.model_dump_json().encode(), content_type="application/json")
