"""TLS in front of a server that has none: the embedded Valkey is built without it.

`python -m devstack.services.tls_front --port N --directory D --socket NAME` takes TLS connections
on loopback and passes their bytes on to a Unix socket, whose path is short from inside D.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import sys
from contextlib import suppress
from pathlib import Path

import uvloop

LOOPBACK = "127.0.0.1"
CHUNK_BYTES = 65_536
CONNECTIONS_MAX = 1_000
HANDSHAKE_SECONDS = 10.0


class TlsFront:
    """Passes connections on to one Unix socket."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._slots = asyncio.Semaphore(CONNECTIONS_MAX)

    async def serve(self, port: int, context: ssl.SSLContext) -> None:
        """Serve until cancelled. Raises OSError if the port is taken."""
        server = await asyncio.start_server(
            self._pass_on, LOOPBACK, port, ssl=context, ssl_handshake_timeout=HANDSHAKE_SECONDS
        )
        async with server:
            await server.serve_forever()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._slots:
            with suppress(OSError):
                inner_reader, inner_writer = await asyncio.open_unix_connection(self._socket)
                await asyncio.gather(
                    _copy(reader, inner_writer), _copy(inner_reader, writer), return_exceptions=True
                )
            writer.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(CHUNK_BYTES):
            target.write(data)
            await target.drain()
    finally:
        target.close()


def main() -> int:
    """Exit code 1 with a sentence if it cannot listen."""
    parser = argparse.ArgumentParser(prog="devstack.services.tls_front", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="loopback port")
    parser.add_argument("--directory", type=Path, required=True, help="where the socket is")
    parser.add_argument("--socket", required=True, help="name of the Unix socket")
    parser.add_argument("--certificate", type=Path, required=True, help="PEM file")
    parser.add_argument("--key", type=Path, required=True, help="PEM file")
    options = parser.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.key)
    os.chdir(options.directory)
    try:
        uvloop.run(TlsFront(options.socket).serve(options.port, context))
    except OSError as error:
        print(f"tls_front cannot listen on port {options.port}: {error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
