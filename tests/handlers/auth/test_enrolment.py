from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from bus.errors import Refusal
from bus.identity import uuid7
from bus.tokens import ServiceClaims
from handlers.auth.enrolment import enrol
from handlers.auth.issuing import service_token
from handlers.wiring import may_append
from tests.handlers.auth.counter import Counter

BOOT = uuid7()
SECRETS = {"booking": "booking's secret", "gateway": "gateway's secret"}
MAY = {"booking": ["booking.lane-held", "booking.booking-confirmed"], "gateway": ["booking.book-session"]}


@pytest.fixture
async def enrolled(counter: Counter) -> Counter:
    connection = await counter.database.connect("postgres")
    await enrol(connection, SECRETS, MAY)
    await connection.close()
    return counter


def asked(**changes: Any) -> dict[str, Any]:
    return {
        "service": "booking",
        "secret": SECRETS["booking"],
        "boot": str(BOOT),
        "names": ["booking.lane-held"],
        **changes,
    }


async def test_an_enrolled_service_gets_a_statement(enrolled: Counter) -> None:
    status, answer = await enrolled.post("/service-tokens", asked())
    assert status == 200
    claims = enrolled.signer.verifier.verify(answer["token"], ServiceClaims)
    assert (claims.service, claims.role, claims.boot) == ("booking", "firingline_booking", BOOT)
    assert claims.names == ("booking.lane-held",)
    assert claims.token_id == UUID(answer["token_id"])
    assert claims.issued_at == datetime.fromisoformat(answer["issued_at"])
    assert claims.expires_at == datetime.fromisoformat(answer["expires_at"])
    assert (claims.expires_at - claims.issued_at).total_seconds() == 3600


async def test_the_database_takes_the_statement_from_its_role(enrolled: Counter) -> None:
    _, answer = await enrolled.post("/service-tokens", asked())
    connection = await enrolled.database.connect("booking")
    await connection.fetchval(
        "SELECT bus.register_producer($1, $2, $3, $4, $5)",
        BOOT,
        UUID(answer["token_id"]),
        ["booking.lane-held"],
        answer["token"],
        datetime.fromisoformat(answer["expires_at"]),
    )
    await connection.close()


NOT_THEIRS: list[tuple[dict[str, object], int, str]] = [
    ({"secret": "guessed"}, 401, "service-refused"),
    ({"secret": SECRETS["gateway"]}, 401, "service-refused"),
    ({"service": "payment"}, 401, "service-refused"),
    ({"names": ["booking.lane-held", "payment.invoice-issued"]}, 403, "names-not-enrolled"),
    ({"names": ["booking.book-session"]}, 403, "names-not-enrolled"),
    ({"names": []}, 422, "invalid-request"),
    ({"names": ["*"]}, 422, "invalid-request"),
    ({"boot": "1"}, 422, "invalid-request"),
    ({"service": "booking'--"}, 422, "invalid-request"),
]


async def test_nobody_gets_a_statement_that_is_not_theirs(enrolled: Counter) -> None:
    for changes, status, name in NOT_THEIRS:
        answer = await enrolled.post("/service-tokens", asked(**changes))
        assert (answer[0], answer[1]["type"]) == (status, f"/problems/{name}"), changes


async def test_enrolling_again_replaces_what_was(enrolled: Counter) -> None:
    connection = await enrolled.database.connect("postgres")
    await enrol(connection, {"booking": "another"}, {"booking": ["booking.booking-confirmed"]})
    await connection.close()
    assert (await enrolled.post("/service-tokens", asked()))[0] == 401
    assert (await enrolled.post("/service-tokens", asked(secret="another")))[0] == 403
    names = ["booking.booking-confirmed"]
    assert (await enrolled.post("/service-tokens", asked(secret="another", names=names)))[0] == 200
    assert (await enrolled.post("/service-tokens", asked(**gateway())))[0] == 200


def gateway() -> dict[str, Any]:
    return {"service": "gateway", "secret": SECRETS["gateway"], "names": MAY["gateway"]}


async def test_auth_itself_cannot_enrol(counter: Counter) -> None:
    async with counter.pool.acquire() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await enrol(connection, SECRETS, MAY)


async def test_what_each_process_says_fits_into_one_token(counter: Counter) -> None:
    async with counter.pool.acquire() as connection:
        at = await connection.fetchval("SELECT clock_timestamp()")
    for service, names in may_append().items():
        token = service_token(counter.signer.key_at(at), service, BOOT, names, at)
        assert counter.signer.verifier.verify(token.token, ServiceClaims).names == tuple(names)
    with pytest.raises(Refusal, match="too many"):
        service_token(counter.signer.key_at(at), "booking", BOOT, [f"booking.{n:050}" for n in range(200)], at)
