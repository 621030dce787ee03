"""`firingline target`: an electronic target made of a file of shots, on the wire like a freETarget."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import click

from bus.errors import Refusal
from simulation.frames import Firmware, frame_of
from simulation.makers import Faults, Fired
from simulation.shot_files import Shot, read_shots
from simulation.speakers import WAYS, speak

SOCKETS: Final = 4
STORED: Final = 100
CHUNK_BYTES: Final = 1024
SESSION_AGE_S: Final = 600  # its clock may have run for so long when the first shot falls
LINGER_S: Final = 0.5  # for the last shot to arrive
SHARE: Final = click.FloatRange(0, 1)


@dataclass(frozen=True, slots=True)
class Manners:
    """What this target does besides telling its shots."""

    firmware: Firmware = "6.3"
    repeats: bool = True  # what it has stored, to whoever connects
    banner: bool = True
    echo: bool = True  # of every byte it is sent
    doubled_commas: bool = False


class Target:
    """A freETarget without paper: `fire` shots at it, and every client hears of them.

    Like a real one it counts from 1 in each session, stores the last 100 shots and repeats them to who connects, takes
    four clients, and echoes what they say. Its clock is real, and had already run for a while when its session began:
    two sessions of the same shots are two sessions.
    """

    def __init__(self, manners: Manners = Manners()) -> None:
        self.manners = manners
        self.port = 0
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self._joined = asyncio.Event()
        self._stored: deque[bytes] = deque(maxlen=STORED)
        self._number = 0
        self._zero_s = 0.0
        self.new_session()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes any free one, known afterwards."""
        try:
            self._server = await asyncio.start_server(self._serve, host, port)
        except OSError as error:
            raise Refusal(f"Port {port} of {host} cannot be listened on: {error.strerror}.") from None
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self.hang_up()
            await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def fired(self) -> int:
        """How many shots its present session has."""
        return self._number

    def new_session(self) -> None:
        """Begin to count from 1 again, with nothing stored."""
        self._stored.clear()
        self._number = 0
        self._zero_s = time.monotonic() - random.uniform(1, SESSION_AGE_S)

    def fire(self, shot: Shot) -> bytes:
        """Take a shot; returns the frame that tells of it."""
        self._number += 1
        elapsed_s = time.monotonic() - self._zero_s
        doubled = self.manners.doubled_commas
        frame = frame_of(self.manners.firmware, shot, self._number, elapsed_s, doubled_commas=doubled)
        self._stored.append(frame)
        self.say(frame)
        return frame

    def say(self, raw: bytes) -> None:
        """Send bytes to every client, whatever they are."""
        for client in self._clients:
            client.write(raw)

    def hang_up(self) -> None:
        """Cut every connection off."""
        for client in self._clients:
            client.transport.abort()

    async def has_client(self) -> None:
        """Wait for the first client."""
        await self._joined.wait()

    async def play(self, shots: Sequence[Shot], interval_s: float) -> None:
        for shot in shots:
            self.fire(shot)
            await asyncio.sleep(interval_s)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= SOCKETS:
            writer.close()
            return
        writer.write(self._greeting())
        self._clients.add(writer)
        self._joined.set()
        try:
            while sent := await reader.read(CHUNK_BYTES):
                if self.manners.echo:
                    writer.write(sent)
        except OSError:
            pass  # the client is gone, which is nothing to a target
        finally:
            self._clients.discard(writer)
            writer.close()

    def _greeting(self) -> bytes:
        banner = b""
        if self.manners.banner:
            uptime_s = int(time.monotonic() - self._zero_s)
            banner = (
                b'{"CONNECTED":%d}\r\nfreETarget\r\nVersion 6.3.2 {simulated}\r\n' % uptime_s
                if self.manners.firmware == "6.3"
                else b"\r\nfreETarget VERSION 4.3.2\r\nRunning >>\r\n"
            )
        return banner + (b"".join(self._stored) if self.manners.repeats else b"")


def seasoned(shots: Sequence[Shot], *, sighters: int, miss_every: int) -> list[Shot]:
    """The same shots with the first so many as sighters, and after every so many a miss."""
    found = [replace(shot, kind="sighter") if i < sighters else shot for i, shot in enumerate(shots)]
    if not miss_every:
        return found
    missed = Shot(shots[0].x_mm, shots[0].y_mm, miss=True)
    return [one for i, shot in enumerate(found, 1) for one in ([shot, missed] if i % miss_every == 0 else [shot])]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=1090, show_default=True, type=click.IntRange(0, 65535), help="0 takes any free port.")
@click.option("--firmware", type=click.Choice(["6.3", "4.3"]), default="6.3", show_default=True, help="Whose words.")
@click.option(
    "--interval-ms", default=1500, show_default=True, type=click.IntRange(0, 3_600_000), help="From shot to shot."
)
@click.option("--sighters", default=0, type=click.IntRange(0), help="So many shots at the beginning do not count.")
@click.option("--miss-every", default=0, type=click.IntRange(0), help="Add a miss after every so many shots.")
@click.option("--replay/--no-replay", default=True, show_default=True, help="Repeat stored shots at connection.")
@click.option("--banner/--no-banner", default=True, show_default=True, help="Say hello in words.")
@click.option("--echo/--no-echo", default=True, show_default=True, help="Send back what is sent.")
@click.option("--duplicate-commas", is_flag=True, help="Double the commas, as some firmware does.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Begin to shoot when somebody listens.")
@click.option("--once", is_flag=True, help="End after the last shot, instead of listening on.")
@click.option(
    "--speaks",
    type=click.Choice(["freetarget", *WAYS]),
    default="freetarget",
    show_default=True,
    help="Whose machine it is.",
)
@click.option(
    "--to",
    help="Where another maker's machine tells its shots: HOST:PORT to send to (disag, biathlon; mqtt "
    "with /TOPIC) or to listen on (megalink, megalink-1, sse), or a folder (sius).",
)
@click.option("--broken", default=0.0, type=SHARE, help="Before so many of another maker's frames comes a broken one.")
@click.option("--repeated", default=0.0, type=SHARE, help="So many of them come again.")
@click.option("--swapped", default=0.0, type=SHARE, help="So many come before the one they follow.")
@click.option("--drift", default=1.0, show_default=True, help="How fast the machine's clock runs.")
def target(  # noqa: PLR0913 - one argument an option
    file: Path,
    host: str,
    port: int,
    firmware: Firmware,
    interval_ms: int,
    sighters: int,
    miss_every: int,
    replay: bool,  # noqa: FBT001
    banner: bool,  # noqa: FBT001
    echo: bool,  # noqa: FBT001
    duplicate_commas: bool,  # noqa: FBT001
    wait: bool,  # noqa: FBT001
    once: bool,  # noqa: FBT001
    speaks: str,
    to: str | None,
    broken: float,
    repeated: float,
    swapped: float,
    drift: float,
) -> None:
    """Play FILE, a CSV file of shots, as a real electronic target would: a freETarget that listens on a TCP port.

    FILE has the columns kind (sighter, match or miss), x_mm, y_mm, like simulation/samples/air-pistol-10m.csv, or is an
    export of the TargetScan app. The range connects to the target, as it does to real ones, when a lane is opened with
    its address: freetarget://127.0.0.1:1090. Machines of other makers are played as well, with what goes wrong on
    their way: lanes with addresses such as disag://127.0.0.1:30169?range=3 hear them.
    """
    shots = seasoned(read_shots(file), sighters=sighters, miss_every=miss_every)
    if not shots:
        raise Refusal(f"There is no shot in {file}.")
    if speaks != "freetarget":
        if to is None:
            raise Refusal("Where to? It is said with --to.")
        faults = Faults(broken, repeated, swapped, drift)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(speak(speaks, to, shots, interval_ms / 1000, faults=faults, dice=random.Random(), told=_tell))
        return
    manners = Manners(firmware, replay, banner, echo, duplicate_commas)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_play(Target(manners), shots, host, port, interval_ms / 1000, wait=wait, once=once))


async def _play(
    played: Target, shots: Sequence[Shot], host: str, port: int, interval_s: float, *, wait: bool, once: bool
) -> None:
    await played.start(host, port)
    try:
        click.echo(f"Listening on {host}:{played.port}, {len(shots)} shots to fire. Ctrl-C ends it.")
        if wait:
            await played.has_client()
            await asyncio.sleep(interval_s)
        for shot in shots:
            played.fire(shot)
            click.echo(f"{played.fired:>4} {_told(shot)}")
            await asyncio.sleep(interval_s)
        if not once:
            click.echo("All shots are fired; whoever connects hears the last 100 again.")
            await asyncio.Event().wait()
        await asyncio.sleep(LINGER_S)
    finally:
        await played.stop()


def _tell(fired: Fired) -> None:
    click.echo(f"{fired.number:>4} {_told(fired.shot)}")


def _told(shot: Shot) -> str:
    return "miss" if shot.miss else f"{shot.kind:<8} x {shot.x_mm:8.2f} mm  y {shot.y_mm:8.2f} mm"
