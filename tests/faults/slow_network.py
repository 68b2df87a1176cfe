"""A TCP proxy in front of one broker that loses a client's connection and delivers its last request
late: what a network can do and a broker cannot be made to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import threading
from pathlib import Path

from devstack.services import kafka, kafka_jars
from devstack.services.child import Child
from devstack.services.ports import LOOPBACK, PortBook, free_port

END_TXN = 26
"""Api key of EndTxn in Kafka's protocol."""


class LateDelivery:
    """Listens on `port`, forwards to the broker; see `delay_next`."""

    def __init__(self, broker_port: int) -> None:
        self.port = free_port()
        self.delivered_late = 0
        self._broker_port = broker_port
        self._plan: tuple[int, float] | None = None
        self._loop = asyncio.new_event_loop()
        self._late: set[asyncio.Task[None]] = set()
        threading.Thread(target=self._run, daemon=True).start()
        started = asyncio.start_server(self._serve, LOOPBACK, self.port)
        asyncio.run_coroutine_threadsafe(started, self._loop).result(10)

    def delay_next(self, api_key: int, seconds: float) -> None:
        """The next such request: the client's connection ends at once, the broker gets it later."""
        self._plan = (api_key, seconds)

    @property
    def armed(self) -> bool:
        """The request that was asked for has not come yet."""
        return self._plan is not None

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_broker, to_broker = await asyncio.open_connection(LOOPBACK, self._broker_port)
        except OSError:
            writer.close()
            return
        answers = asyncio.create_task(_pump(from_broker, writer))
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(4)
                request = await reader.readexactly(struct.unpack(">i", head)[0])
                seconds = self._delay_of(request)
                if seconds is not None:
                    late = asyncio.create_task(self._deliver(to_broker, head + request, seconds))
                    self._late.add(late)
                    answers.cancel()
                    writer.close()
                    return
                to_broker.write(head + request)
                await to_broker.drain()
        answers.cancel()
        writer.close()
        to_broker.close()

    def _delay_of(self, request: bytes) -> float | None:
        (api_key,) = struct.unpack_from(">h", request)
        if self._plan is None or self._plan[0] != api_key:
            return None
        _, seconds = self._plan
        self._plan = None
        return seconds

    async def _deliver(self, to_broker: asyncio.StreamWriter, frame: bytes, seconds: float) -> None:
        await asyncio.sleep(seconds)
        to_broker.write(frame)
        await to_broker.drain()
        self.delivered_late += 1
        await asyncio.sleep(1.0)
        to_broker.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


class DistantBroker:
    """One broker that clients reach through a `LateDelivery` only."""

    def __init__(self, directory: Path) -> None:
        kafka_jars.fetch()
        ports = PortBook(directory / "ports.json")
        cluster = kafka.prepare(directory, ports, directory / "logs", 1)
        node = cluster.nodes[0]
        self.network = LateDelivery(node.broker_port)
        self.bootstrap = f"{LOOPBACK}:{self.network.port}"
        here, there = f"PLAINTEXT://{node.bootstrap}", f"PLAINTEXT://{self.bootstrap}"
        text = node.config_path.read_text()
        advertised = f"advertised.listeners={here}"
        assert advertised in text
        node.config_path.write_text(text.replace(advertised, f"advertised.listeners={there}"))
        self._child = Child(cluster.launches[0])
        self._child.wait_ready()

    def stop(self) -> None:
        self._child.kill_group()
        self.network.stop()
