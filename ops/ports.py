"""Whether the ports that we are about to use are free, asked before anything is started."""

import asyncio
import errno
import socket
import time

from bus.errors import Refusal


async def wait_until_free(variable: str, host: str, port: int, patience_s: float) -> None:
    """Return when the port can be listened on; refuse at once, or after a while, if it cannot."""
    deadline_s = time.monotonic() + patience_s
    while (error := _try_to_listen(host, port)) is not None:
        if error.errno != errno.EADDRINUSE:
            raise Refusal(f"Nobody may listen on {host} port {port} here ({error.strerror}): see {variable}.")
        if time.monotonic() >= deadline_s:
            raise Refusal(f"Port {port} of {host} is in use by another program: end it, or set {variable} to another.")
        await asyncio.sleep(0.05)


def _try_to_listen(host: str, port: int) -> OSError | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        return error
    return None
