"""The listening server: a thread a connection, and a stop that lets running requests end."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any

from devstack.clickhouse_http.engine import Engine
from devstack.clickhouse_http.responses import ServerFacts
from devstack.clickhouse_http.users import User

LOOPBACK = "127.0.0.1"
CONNECTIONS_MAX = 256
DRAIN_SECONDS_MAX = 10.0
HANDSHAKE_SECONDS_MAX = 10.0


class ClickHouseServer(ThreadingHTTPServer):
    """Serves one engine on a loopback port (0: a free one, see `server_port`).

    `handler` speaks with one connection; it finds the engine and the users here. `tls`: the
    handshake is made in the connection's own thread.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        port: int,
        engine: Engine,
        users: Mapping[str, User],
        handler: type[BaseHTTPRequestHandler],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self.engine = engine
        self.users = users
        self.facts = ServerFacts(timezone=engine.timezone)
        self._connections = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._running = 0
        self._stopping = False
        self._changed = threading.Condition()
        super().__init__((LOOPBACK, port), handler)

    @contextmanager
    def request_running(self) -> Iterator[bool]:
        """Counts a request; false when the server is stopping and takes no more."""
        with self._changed:
            accepted = not self._stopping
            self._running += 1
        try:
            yield accepted
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def drain(self) -> bool:
        """Take no more requests and wait for the running ones; true when all ended in time."""
        deadline = time.monotonic() + DRAIN_SECONDS_MAX
        with self._changed:
            self._stopping = True
            while self._running and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            return self._running == 0

    def process_request(self, request: Any, client_address: Any) -> None:
        """Refuses (closes) connections over `CONNECTIONS_MAX`."""
        if not self._connections.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Runs in the connection's thread, until the client closes."""
        try:
            if self._tls is not None:
                request.settimeout(HANDSHAKE_SECONDS_MAX)
                request = self._tls.wrap_socket(request, server_side=True)
                request.settimeout(None)
        except OSError:  # no TLS, or no certificate that it trusts: the client's matter
            self.shutdown_request(request)
            self._connections.release()
            return
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """A connection that broke is the client's matter; anything else goes to the log."""
        import sys
        import traceback

        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            traceback.print_exc()
