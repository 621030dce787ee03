"""MQTT: messages are acknowledged when they are on the disk. A broker that can keeps them while nobody is here."""

from __future__ import annotations

from typing import Final

import aiomqtt
import structlog

from gateway.tracking.address import Source
from gateway.tracking.hearing import Hearing
from gateway.tracking.makers.biathlon import RESULT, SYSTEM
from gateway.tracking.sources.reconnecting import over_and_over
from gateway.tracking.ways import BIATHLON, MQTT

KEEP_ALIVE_S: Final = 20
ANSWER_WITHIN_S: Final = 10.0
AT_LEAST_ONCE: Final = 1

log = structlog.get_logger(__name__)


class Broker:
    """Subscribes to our own topic, or to that of biathlon targets."""

    def __init__(self, source: Source, hearing: Hearing) -> None:
        self._source = source
        self.hearing = hearing
        self.connected = False
        self.heartbeats = 0

    async def run(self) -> None:
        await over_and_over(
            f"mqtt broker {self._source.host}:{self._source.port}", self._listen, (aiomqtt.MqttError, OSError)
        )

    async def _listen(self) -> bool:
        biathlon = self._source.scheme == "mqtt+biathlon"
        client = aiomqtt.Client(
            self._source.host,
            self._source.port,
            identifier=f"firingline-{self.hearing.name}",  # the broker knows us again, and has kept what came meanwhile
            clean_session=False,
            keepalive=KEEP_ALIVE_S,
            timeout=ANSWER_WITHIN_S,
        )
        wire = client._client  # noqa: SLF001 - aiomqtt has no way of its own to acknowledge later
        wire.manual_ack_set(on=True)
        heard = False
        async with client:
            await client.subscribe(RESULT if biathlon else self._source.option("topic"), qos=AT_LEAST_ONCE)
            if biathlon:
                await client.subscribe(SYSTEM, qos=0)
            self.connected = True
            self.hearing.connected()
            try:
                async for message in client.messages:
                    heard = True
                    if biathlon and message.topic.matches(SYSTEM):
                        self.heartbeats += 1
                    elif isinstance(message.payload, bytes | bytearray):
                        await self.hearing.heard(BIATHLON if biathlon else MQTT, bytes(message.payload))
                    wire.ack(message.mid, message.qos)
            finally:
                self.connected = False
        return heard
