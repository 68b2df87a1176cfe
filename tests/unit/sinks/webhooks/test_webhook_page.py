"""The receiver that the documentation shows works as it stands."""

import json
import re
import time
from pathlib import Path
from typing import Any

from sinks.webhooks.signing import signed_headers

PAGE = Path(__file__).resolve().parents[4] / "docs" / "producers" / "webhooks.md"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.S)


def test_the_receiver_of_the_page_verifies_and_drops_what_is_old() -> None:
    scope: dict[str, Any] = {}
    exec(blocks("python")[0], scope)

    def send(sequence: int, secret: str = SECRET) -> int:
        body = json.dumps({"sequence": sequence, "data": {"id": "pay_1", "status": "x"}}).encode()
        headers = signed_headers(f"pay_1-{sequence}", int(time.time()), body, [secret])
        status: int = scope["receive"](SECRET, headers, body)
        return status

    assert [send(2), send(1), send(2)] == [204, 204, 204]
    assert scope["seen_sequences"] == {"pay_1": 2}
    assert send(3, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD") == 400
    assert scope["seen_sequences"] == {"pay_1": 2}


def test_the_body_of_the_page_has_the_fields_that_are_sent() -> None:
    from test_webhook_fanout import EVENT

    from sinks.webhooks.fanout import body

    [shown] = [json.loads(block) for block in blocks("json")]
    sent = json.loads(body(EVENT))
    assert shown.keys() == sent.keys()
    assert shown["data"].keys() == sent["data"].keys()
