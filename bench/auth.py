"""How many logins, tokens and licences a second: what every visit to the range costs."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from uuid import UUID

import argon2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.figures import Measured, Size, Tell, in_turns
from bench.ground import database, registered
from bus.connection import close_pool, connect_pool
from bus.identity import uuid7
from bus.outbox import Outbox
from bus.tokens import UserClaims, Verifier
from handlers.auth import people, sessions
from handlers.auth.desk import Desk
from handlers.auth.erasure_list import ErasureList
from handlers.auth.issuing import user_token
from handlers.auth.passwords import THREADS, Hasher
from handlers.auth.people import Newcomer
from handlers.auth.rule_sets import RUSSIAN_CIVIL
from handlers.auth.rules import Licence, LicenceState, Shooter, decide, known_categories
from handlers.auth.service import service
from handlers.auth.signing import SigningKey, open_signer
from ops.settings import Settings
from ops.worker import MASTER_KEY_FILE

PASSWORD: Final = "seven bulls at ten metres"  # noqa: S105 - of people who are only measured
AT: Final = datetime(2026, 6, 1, tzinfo=UTC)
PEOPLE: Final = 8
TOKENS: Final = 5_000
REVOKED: Final = 1_000
SHOOTERS: Final = 500
AT_ONCE: Final = 500  # between two looks at the clock


async def logins(server: Settings, size: Size, tell: Tell) -> Measured:
    """Whole logins at the default cost, beside bare argon2id in as many threads."""
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(database(server, "logins"))
        folder = stack.enter_context(TemporaryDirectory())
        producer = await stack.enter_async_context(registered(log, "auth", service().may_append))
        pool = await connect_pool(log.dsn("auth"), "bench/logins", most=PEOPLE)
        stack.push_async_callback(close_pool, pool)
        signer = await open_signer(pool, log.home / "credentials" / MASTER_KEY_FILE)
        hasher = Hasher()
        stack.callback(hasher.close)
        desk = Desk(pool, Outbox(service(), producer), signer, hasher, ErasureList(Path(folder) / "list"))
        names = [f"marksman-{number}" for number in range(PEOPLE)]
        for name in names:
            await people.register(desk, Newcomer(name, PASSWORD, name))
        threads = stack.enter_context(ThreadPoolExecutor(THREADS))
        ours, baseline = await in_turns(
            size.rounds, partial(_log_in, desk, names, size.seconds), partial(_hash, threads, size.seconds), tell
        )
    return Measured(ours, baseline, {"people": PEOPLE, "threads": THREADS, "seconds": size.seconds})


async def new_tokens(server: Settings, size: Size, tell: Tell) -> Measured:
    """Tokens that were never seen, beside the bare Ed25519 verification of as many bytes."""
    del server
    key, tokens = _signed()
    message = tokens[0].encode()
    ours, baseline = await in_turns(
        size.rounds,
        partial(_rate, lambda: _verify_anew(key, tokens), size.seconds),
        partial(_rate, lambda: _verify_bare(key, message), size.seconds),
        tell,
    )  # fmt: skip
    return Measured(ours, baseline, {"tokens": TOKENS, "seconds": size.seconds})


async def known_tokens(server: Settings, size: Size, tell: Tell) -> Measured:
    """Tokens seen before, each looked up among the revoked, beside a hash and a dictionary."""
    del server
    key, tokens = _signed()
    verifier = Verifier([key.public], clock=AT.timestamp)
    revoked = {uuid7(): AT for _ in range(REVOKED)}
    known = {sha256(token.encode()).digest(): token for token in tokens}
    ours, baseline = await in_turns(
        size.rounds,
        partial(_rate, lambda: _verify_again(verifier, revoked, tokens), size.seconds),
        partial(_rate, lambda: sum(sha256(token.encode()).digest() in known for token in tokens), size.seconds),
        tell,
    )
    return Measured(ours, baseline, {"tokens": TOKENS, "revoked": REVOKED, "seconds": size.seconds})


async def licences(server: Settings, size: Size, tell: Tell) -> Measured:
    """Decisions by the larger rule set on shooters with up to five licences, beside a loop over the same licences."""
    del server
    shooters = list(_shooters())
    classes = cycle([one.weapon_class for one in RUSSIAN_CIVIL.classes])
    hour = timedelta(hours=1)

    def ours() -> int:
        for shooter in shooters:
            decide(shooter, next(classes), AT, AT + hour, RUSSIAN_CIVIL)
        return len(shooters)

    def bare() -> int:
        for shooter in shooters:
            _ = any(
                one.category == "smoothbore-long" and one.valid_from <= AT and AT + hour <= one.valid_until
                for one in shooter.licences
            )
        return len(shooters)

    values, baseline = await in_turns(
        size.rounds, partial(_rate, ours, size.seconds), partial(_rate, bare, size.seconds), tell
    )
    return Measured(values, baseline, {"shooters": SHOOTERS, "seconds": size.seconds})


async def _log_in(desk: Desk, names: list[str], seconds: float, _number: int) -> float:
    until_s = time.perf_counter() + seconds

    async def again(name: str) -> int:
        done = 0
        while not done or time.perf_counter() < until_s:
            await sessions.log_in(desk, name, PASSWORD, "192.0.2.1", None)
            done += 1
        return done

    began_s = time.perf_counter()
    done = sum(await asyncio.gather(*(again(name) for name in names)))
    return done / (time.perf_counter() - began_s)


async def _hash(threads: ThreadPoolExecutor, seconds: float, _number: int) -> float:
    hashes = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
    hashed = hashes.hash(PASSWORD)
    until_s = time.perf_counter() + seconds

    def again() -> int:
        done = 0
        while not done or time.perf_counter() < until_s:
            hashes.verify(hashed, PASSWORD)
            done += 1
        return done

    began_s = time.perf_counter()
    loop = asyncio.get_running_loop()
    done = sum(await asyncio.gather(*(loop.run_in_executor(threads, again) for _ in range(THREADS))))
    return done / (time.perf_counter() - began_s)


async def _rate(work: Callable[[], int], seconds: float, _number: int) -> float:
    return await asyncio.to_thread(_timed, work, seconds)


def _timed(work: Callable[[], int], seconds: float) -> float:
    began_s, done = time.perf_counter(), 0
    while not done or time.perf_counter() - began_s < seconds:
        done += work()
    return done / (time.perf_counter() - began_s)


def _signed() -> tuple[SigningKey, list[str]]:
    key = SigningKey("bench", Ed25519PrivateKey.generate(), AT - timedelta(minutes=1), None)
    return key, [user_token(key, uuid7(), ["shooter"], AT) for _ in range(TOKENS)]


def _verify_anew(key: SigningKey, tokens: list[str]) -> int:
    verifier = Verifier([key.public], clock=AT.timestamp)
    for token in tokens[:AT_ONCE]:
        verifier.verify(token, UserClaims)
    return AT_ONCE


def _verify_bare(key: SigningKey, message: bytes) -> int:
    signature, public = key.private.sign(message), key.public.key
    for _ in range(AT_ONCE):
        public.verify(signature, message)
    return AT_ONCE


def _verify_again(verifier: Verifier, revoked: Mapping[UUID, datetime], tokens: list[str]) -> int:
    for token in tokens:
        claims = verifier.verify(token, UserClaims)
        since = revoked.get(claims.person)
        if since is not None and claims.issued_at < since:  # as gateway.revocations has it
            raise AssertionError("nobody of these was revoked")
    return len(tokens)


def _shooters() -> Iterator[Shooter]:
    dice = random.Random(1)
    categories = known_categories(RUSSIAN_CIVIL)
    for _ in range(SHOOTERS):
        held = [
            Licence(
                UUID(int=dice.getrandbits(128)),
                dice.choice(categories),
                datetime(dice.randint(2015, 2025), 1, 1, tzinfo=UTC),
                datetime(dice.randint(2026, 2030), 1, 1, tzinfo=UTC),
                dice.choice(list(LicenceState)),
            )
            for _ in range(dice.randint(0, 5))
        ]
        yield Shooter(tuple(held), dice.choice([0, 14, 18, 21]))
