"""The gateway and the five workers as real processes on a test's database, to be killed and started again."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from ops.process import PARENT_FD
from ops.settings import VARIABLES, Settings
from tests.database import Database

NAMES = ("gateway", "auth", "booking", "armory", "payment", "stats")
READY_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Processes:
    """Everything but PostgreSQL, each part a process of its own with its words in a file."""

    def __init__(self, database: Database, logs: Path) -> None:
        self.database = database
        self.settings: Settings = replace(database.settings, port=free_port(), auth_port=free_port())
        self.address = f"http://127.0.0.1:{self.settings.port}"
        self._logs = logs
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._pipe = os.pipe()  # our end closes with us, however we end, and the processes notice

    async def __aenter__(self) -> Self:
        try:
            for name in NAMES:
                await self.start(name)
            await self.until_ready()
        except BaseException as error:
            await self.__aexit__(type(error), error, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._running.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        await asyncio.gather(*(process.wait() for process in self._running.values()))
        for fd in self._pipe:
            os.close(fd)
        if error is not None:
            for name in NAMES:
                sys.stderr.write(f"--- {name}\n{self.words(name)[-3000:]}\n")

    async def start(self, name: str) -> None:
        command = ("gateway",) if name == "gateway" else ("worker", name)
        with self._log(name).open("ab") as words:
            self._running[name] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "ops.cli", *command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                env={**os.environ, **self.environment, PARENT_FD: str(self._pipe[0])},
                pass_fds=self._pipe[:1],
            )

    async def kill(self, *names: str) -> None:
        """Ends processes as a power cut would, and waits until they are gone."""
        for name in names:
            self._running[name].kill()
        await asyncio.gather(*(self._running[name].wait() for name in names))

    async def restart(self, *names: str) -> None:
        await self.kill(*names)
        for name in names:
            await self.start(name)

    async def until_ready(self) -> None:
        async with asyncio.timeout(READY_S), aiohttp.ClientSession() as session:
            while True:
                with suppress(aiohttp.ClientError):
                    async with session.get(f"{self.address}/health/ready") as response:
                        if response.status == 200:
                            return
                for name, process in self._running.items():
                    assert process.returncode is None, f"{name} ended:\n{self.words(name)[-3000:]}"
                await asyncio.sleep(0.05)

    @property
    def environment(self) -> dict[str, str]:
        return {
            VARIABLES["home"]: str(self.settings.home),
            VARIABLES["database_url"]: self.settings.admin_url,
            VARIABLES["port"]: str(self.settings.port),
            VARIABLES["auth_port"]: str(self.settings.auth_port),
        }

    def words(self, name: str) -> str:
        return self._log(name).read_text(errors="replace")

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"
