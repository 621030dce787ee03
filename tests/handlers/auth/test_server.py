import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from bus.errors import Refusal
from handlers.auth.endpoint.server import serve
from handlers.auth.erasure_list import ErasureList
from handlers.auth.signing import change_key
from tests.database import Database
from tests.handlers.auth.counter import BOOTSTRAP_SECRET, Counter, open_counter, quick_hasher


async def test_a_port_in_use_is_said_in_a_sentence(counter: Counter, tmp_path: Path) -> None:
    port = int(counter.url.rpartition(":")[2])
    with pytest.raises(Refusal, match=f"port {port}"):
        async with serve(
            counter.pool,
            counter.outbox,
            counter.signer,
            host="127.0.0.1",
            port=port,
            bootstrap_secret=BOOTSTRAP_SECRET,
            erasures=ErasureList(tmp_path / "erasures.jsonl"),
            hasher=quick_hasher(),
        ):
            pass


async def test_the_endpoint_learns_of_new_keys_and_forgets_what_is_over(
    database: Database, master_key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.auth.endpoint.server.UPKEEP_EVERY_S", 0.01)
    async with open_counter(database, master_key_file) as counter:
        await counter.register()
        await counter.try_login(password="wrong password", address="192.0.2.9")
        await counter.log_in()
        async with counter.pool.acquire() as connection:
            new = await change_key(connection, counter.signer.vault, timedelta())
            at = await connection.fetchval("SELECT clock_timestamp()")
        await counter.fetch("UPDATE auth.login_attempt SET last_at = last_at - interval '2 days'")
        await counter.fetch(
            """
            UPDATE auth.session
            SET opened_at = opened_at - interval '40 days', expires_at = expires_at - interval '32 days'
            """
        )
        async with asyncio.timeout(5):
            while counter.signer.key_at(at).kid != new or await counter.fetch("SELECT FROM auth.refresh_token"):
                await asyncio.sleep(0.01)
        kept = await counter.fetch("SELECT succeeded_at FROM auth.login_attempt")
        assert len(kept) == 1  # where a login worked is remembered longer
        assert kept[0]["succeeded_at"] is not None


async def test_the_endpoint_goes_on_when_the_database_was_away(
    database: Database, master_key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.auth.endpoint.server.UPKEEP_EVERY_S", 0.01)
    async with open_counter(database, master_key_file) as counter:
        await counter.register()
        await counter.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'firingline_auth'")
        async with asyncio.timeout(5):
            while (await counter.try_login())[0] != 200:
                await asyncio.sleep(0.01)
        async with counter.pool.acquire() as connection:
            new = await change_key(connection, counter.signer.vault, timedelta())
            at = await connection.fetchval("SELECT clock_timestamp()")
        async with asyncio.timeout(5):
            while counter.signer.key_at(at).kid != new:
                await asyncio.sleep(0.01)
