"""/livez, /readyz and /metrics of a worker, from a thread so that a busy loop still answers."""

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Check = Callable[[], bool]
_REQUEST_TIMEOUT_SECONDS = 5.0


class PortTaken(Exception):
    """The health server cannot listen; a sentence that names the address."""


class HealthServer:
    """Answers on `host` until `stop`; port 0 takes a free one (see `port`). Raises PortTaken."""

    def __init__(
        self, port: int, ready: Check, live: Check = lambda: True, host: str = "127.0.0.1"
    ) -> None:
        server = _IPv6Server if ":" in host else ThreadingHTTPServer
        try:
            self._server = server((host, port), _handler(ready, live))
        except (OSError, OverflowError) as error:
            raise PortTaken(
                f"This process cannot listen on {host}, port {port}: {error}. Correct HEALTH_HOST"
                " or HEALTH_PORT, or end what listens there."
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def start(self) -> "HealthServer":
        """Begin to answer."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()


class _IPv6Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def _handler(ready: Check, live: Check) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _REQUEST_TIMEOUT_SECONDS

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
            elif self.path in ("/readyz", "/livez"):
                well = (ready if self.path == "/readyz" else live)()
                self._answer(200 if well else 503, b"ok\n" if well else b"not yet\n", "text/plain")
            else:
                self._answer(404, b"try /livez, /readyz or /metrics\n", "text/plain")

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes come each second: they are not logged."""

    return Handler
