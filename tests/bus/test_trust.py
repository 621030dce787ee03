"""Trust: what a producer may say is what auth signed for it, and for nobody else, and for no longer."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus import reading
from bus.identity import uuid7
from bus.tokens import PublicKey, TokenRefused, Verifier
from bus.trust import Trust
from tests.bus import toy
from tests.bus.test_consumer import adds, amounts, at_work

AUTH = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SOMEBODY = Ed25519PrivateKey.from_private_bytes(bytes(32))
NOW = datetime.now(UTC).replace(microsecond=0)


def token(boot: UUID, token_id: UUID, names=toy.NAMES, *, role: str = "firingline_booking", key=AUTH, **changes) -> str:
    claims = {
        "iss": "firingline-auth",
        "aud": "bus",
        "sub": "service:booking",
        "jti": str(token_id),
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 3600,
        "role": role,
        "boot": str(boot),
        "names": list(names),
    }
    return jwt.encode(claims | changes, key, algorithm="EdDSA", headers={"typ": "service+jwt", "kid": "k1"})


@pytest.fixture
def trust() -> Trust:
    verifier = Verifier([PublicKey("k1", AUTH.public_key(), NOW - timedelta(days=1))])

    async def verify(statement: str):
        try:
            return verifier.verify_statement(statement)
        except TokenRefused:
            return None

    return Trust(verify)


async def register(connection, statement: str, boot: UUID, token_id: UUID, *, names=toy.NAMES, for_s: int = 3600):
    number = await connection.fetchval(
        "SELECT bus.register_producer($1, $2, $3, $4, $5)",
        boot,
        token_id,
        names,
        statement,
        NOW + timedelta(seconds=for_s),
    )
    return toy.FixedProducer(number)


async def strangers(connection, trust: Trust) -> list[str]:
    batch = await reading.read(connection, 0, ["domain", "telemetry"], None, 1000)
    return [one.name for one in await trust.strangers(connection, batch.messages)]


async def test_whoever_auth_signed_for_is_trusted_with_what_it_signed(booking, trust):
    boot, token_id = uuid7(), uuid7()
    producer = await register(booking, token(boot, token_id), boot, token_id)
    await toy.append(booking, producer, *adds(1), toy.Put(tally="a"))
    assert await strangers(booking, trust) == []


async def test_several_producers_are_each_held_to_their_own_statement(database, booking, trust):
    boot, first, second = uuid7(), uuid7(), uuid7()
    both = await register(booking, token(boot, first), boot, first)
    renewed = await register(booking, token(boot, second), boot, second)
    other_boot, other_id = uuid7(), uuid7()
    armory = await database.connect("armory")
    statement = token(other_boot, other_id, ["booking.add"], role="firingline_armory")
    limited = await register(armory, statement, other_boot, other_id)
    await toy.append(booking, both, *adds(1))
    await toy.append(booking, renewed, *adds(2))
    await toy.append(armory, limited, *adds(3))
    assert await strangers(booking, trust) == []
    await toy.append(armory, limited, toy.AddLater(tally="a", amount=1, seconds=1))
    assert await strangers(booking, trust) == ["booking.add-later"], "registered for more than was signed"
    await armory.close()


FORGERIES = {
    "signed by somebody else": lambda boot, token_id: token(boot, token_id, key=SOMEBODY),
    "no token at all": lambda _boot, _token_id: "x.y.z",
    "for another role": lambda boot, token_id: token(boot, token_id, role="firingline_auth"),
    "for another boot": lambda _boot, token_id: token(uuid7(), token_id),
    "registered before, under another number": lambda boot, _token_id: token(boot, uuid7()),
    "over before the producer is": lambda boot, token_id: token(boot, token_id, exp=int(NOW.timestamp()) + 1800),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_statement_entitles_to_nothing(booking, trust, forgery):
    boot, token_id = uuid7(), uuid7()
    producer = await register(booking, FORGERIES[forgery](boot, token_id), boot, token_id)
    await toy.append(booking, producer, *adds(1))
    assert await strangers(booking, trust) == ["booking.add"]


async def test_one_statement_registers_once(booking):
    boot, token_id = uuid7(), uuid7()
    await register(booking, token(boot, token_id), boot, token_id)
    with pytest.raises(asyncpg.UniqueViolationError, match="token_id"):
        await register(booking, token(boot, token_id), boot, token_id)


async def test_a_forged_message_among_good_ones_is_set_aside_alone(database, booking, trust):
    boot, token_id = uuid7(), uuid7()
    good = await register(booking, token(boot, token_id), boot, token_id)
    forged_id = uuid7()
    bad = await register(booking, token(boot, forged_id, key=SOMEBODY), boot, forged_id)
    await toy.append(booking, good, *adds(1))
    await toy.append(booking, bad, *adds(2))
    await toy.append(booking, good, *adds(3))
    async with at_work(database, toy.toy(), good, trust=trust) as consumer:
        await consumer.step()
    assert await amounts(booking) == [1, 3]
    letters = await booking.fetch("SELECT name, cause FROM bus.dead_letter")
    assert [row["name"] for row in letters] == ["booking.add"]
    assert letters[0]["cause"].startswith("NotEntitled")
