"""A child of the supervisor for tests: says that it runs, answers /health/ready if it has a port, and ends.

python -m tests.ops.stand_in NAME [--port PORT] [--deaf] [--slow] [--fail WORDS]
"""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from aiohttp import web

from ops.process import run


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--port", type=int)
    parser.add_argument("--deaf", action="store_true", help="do not stop when asked to")
    parser.add_argument("--slow", action="store_true", help="stop only when patience ends")
    parser.add_argument("--fail", help="say this and end at once")
    arguments = parser.parse_args()
    if arguments.fail:
        sys.exit(arguments.fail)

    async def live(stopping: asyncio.Event) -> None:
        if arguments.deaf:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)
        if arguments.port:
            app = web.Application()
            app.router.add_get("/health/ready", ready)
            runner = web.AppRunner(app)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", arguments.port).start()
        folder = Path(os.environ["FIRINGLINE_HOME"]) / "running"
        folder.mkdir(exist_ok=True)
        (folder / arguments.name).write_text(f"{os.getpid()} {os.environ['DATABASE_URL']}")
        await (asyncio.Event() if arguments.slow else stopping).wait()

    run(live, arguments.name)


async def ready(_: web.Request) -> web.Response:
    return web.Response()


if __name__ == "__main__":
    main()
