"""The console as a process: what it says with its parts there, and with them away."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import clickhouse_connect
import httpx2
import pytest
from polling import eventually

from dashboards.console.ledger_queries import OVERVIEW, PAYMENT
from devstack.services.child import Child, Launch
from devstack.services.http_probe import answers_ok
from devstack.services.ports import free_port
from runtime.health import HealthServer
from sinks.audit.migrations import migrate
from sinks.audit.settings import DatabaseNames

pytestmark = pytest.mark.services

SECTIONS = {*OVERVIEW, "lags", "processes"}
PAYMENT_ID = "pay_console"
NAMES = DatabaseNames("console_raw", "console_views")


@contextmanager
def console(directory: Path, **environment: str) -> Iterator[str]:
    """A console's URL, as long as the block runs."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    launch = Launch(
        name="console",
        command=(sys.executable, "-m", "dashboards.console", "--port", str(port)),
        log_path=directory / "console.log",
        environment={
            "PYTHONFAULTHANDLER": "1",
            "PAYSTREAM_CONSOLE_VIEWS_DATABASE": NAMES.views,
            **environment,
        },
        ready=partial(answers_ok, f"{url}/readyz"),
        ready_timeout_seconds=60.0,
    )
    child = Child(launch)
    try:
        child.wait_ready()
        yield url
    finally:
        child.kill_group()


@pytest.fixture(scope="module")
def ledger(clickhouse_url: str) -> str:
    """ClickHouse with the views and one captured payment in them."""
    now = datetime.now(UTC)
    event = {
        "event_id": f"{PAYMENT_ID}-1",
        "payment_id": PAYMENT_ID,
        "merchant_id": "mer_console",
        "mode": "live",
        "sequence": 1,
        "type": "payment.created",
        "status": "captured",
        "currency": "EUR",
        "currency_exponent": 2,
        "amount_minor": 1234,
        "requested_minor": 1234,
        "captured_minor": 1234,
        "occurred_at": now,
        "ingested_at": now,
    }
    with clickhouse_connect.get_client(dsn=clickhouse_url) as client:
        migrate(client, NAMES)
        client.insert(
            f"{NAMES.raw}.payment_events", [list(event.values())], column_names=list(event)
        )
    return clickhouse_url


def test_all_parts_there(ledger: str, kafka_broker: str, tmp_path: Path) -> None:
    worker = HealthServer(0, ready=lambda: False).start()
    metrics = f"http://127.0.0.1:{worker.port}/metrics"
    with console(
        tmp_path,
        CLICKHOUSE_URL=ledger,
        KAFKA_BOOTSTRAP_SERVERS=kafka_broker,
        PROMETHEUS_URLS=f"{metrics},http://127.0.0.1:1/metrics",
    ) as url:
        picture = httpx2.get(f"{url}/api/overview").json()
        assert picture["sections"].keys() == SECTIONS
        away = {n: s["error"] for n, s in picture["sections"].items() if "error" in s}
        assert away == {}
        assert picture["sections"]["payments"]["rows"] == [{"status": "captured", "payments": 1}]
        recent = picture["sections"]["recent"]["rows"][0]
        assert (recent["payment_id"], recent["requested_decimal"]) == (PAYMENT_ID, "12.34")
        states = [row["state"] for row in picture["sections"]["processes"]["rows"]]
        assert states == ["not ready", "down"]
        taken_at_ms = picture["taken_at_ms"]
        eventually(
            lambda: httpx2.get(f"{url}/api/overview").json()["taken_at_ms"] > taken_at_ms,
            "a newer page",
        )
        assert "paystream_console_refresh_seconds" in httpx2.get(f"{url}/metrics").text
    worker.stop()


class Asked(BaseHTTPRequestHandler):
    """A process that counts how often it is asked."""

    count = 0

    def do_GET(self) -> None:
        type(self).count += 1
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


def test_without_a_viewer_nothing_is_asked(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Asked)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with console(
        tmp_path,
        PROMETHEUS_URLS=f"http://127.0.0.1:{server.server_address[1]}/metrics",
        PAYSTREAM_CONSOLE_VIEWER_SECONDS="1",
        PAYSTREAM_CONSOLE_REFRESH_SECONDS="0.2",
    ) as url:
        first = httpx2.get(f"{url}/api/overview").json()["taken_at_ms"]
        eventually(lambda: Asked.count > 4, "rounds while a page is open")
        time.sleep(3)
        asked = Asked.count
        time.sleep(1.5)
        assert Asked.count == asked
        assert httpx2.get(f"{url}/api/overview").json()["taken_at_ms"] > first
        assert Asked.count > asked
    server.shutdown()


def test_one_payment_and_an_unknown_one(ledger: str, tmp_path: Path) -> None:
    with console(tmp_path, CLICKHOUSE_URL=ledger) as url:
        story = httpx2.get(f"{url}/api/payments/{PAYMENT_ID}").json()
        assert story.keys() == PAYMENT.keys()
        assert [event["type"] for event in story["events"]] == ["payment.created"]
        unknown = httpx2.get(f"{url}/api/payments/pay_x'%20OR%201=1")
        assert unknown.status_code == 404
        assert "check the id" in unknown.json()["error"]


def test_parts_that_are_away_are_said_and_the_page_goes_on(tmp_path: Path) -> None:
    with console(
        tmp_path,
        CLICKHOUSE_URL="http://127.0.0.1:1",
        KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1",
        PAYSTREAM_CONSOLE_ANSWER_SECONDS_MAX="3",
    ) as url:
        sections = httpx2.get(f"{url}/api/overview").json()["sections"]
        assert sections.keys() == SECTIONS
        assert all(section["error"] for section in sections.values())
        assert "PROMETHEUS_URLS is not set" in sections["processes"]["error"]
        assert httpx2.get(f"{url}/api/payments/{PAYMENT_ID}").status_code == 503
        assert httpx2.get(f"{url}/").status_code == 200


def test_page_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    with console(tmp_path) as url:
        page = httpx2.get(f"{url}/")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "http://" not in page.text
        assert "https://" not in page.text
        for name, media_type in (("console.js", "text/javascript"), ("console.css", "text/css")):
            asset = httpx2.get(f"{url}/static/{name}")
            assert asset.headers["content-type"].startswith(media_type)
            assert name in page.text
        script = httpx2.get(f"{url}/static/console.js").text
        assert "innerHTML" not in script
        assert httpx2.get(f"{url}/static/../settings.py").status_code == 404


def test_a_wrong_setting_is_one_sentence(tmp_path: Path) -> None:
    launch = Launch(
        name="console",
        command=(sys.executable, "-m", "dashboards.console", "--port", "0"),
        log_path=tmp_path / "console.log",
        environment={"PAYSTREAM_CONSOLE_RECENT_PAYMENTS": "many"},
        ready=lambda: False,
        ready_timeout_seconds=30.0,
    )
    child = Child(launch)
    with pytest.raises(Exception, match="console"):
        child.wait_ready()
    child.kill_group()
    assert "[console]" in (tmp_path / "console.log").read_text()
