"""Lives of payments that use every command, field and outcome, and the file of what came of them.

`python tests/unit/streams/golden_histories.py`, run from the repository root, rewrites
the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import msgspec

from schemas.enums import Source
from streams.domain import deadline_command, next_due

HERE = Path(__file__).parent
FILE = HERE / "golden_histories.json"
PaymentTimeline = Any  # conftest.PaymentTimeline
FULL = {
    "card": "jwe",
    "reference": "basket 7",
    "return_url": "https://shop.example/back",
    "fee_basis_points": 140,
    "fee_fixed_minor": 25,
}


def due(story: PaymentTimeline, late_ms: int = 0) -> None:
    """The next deadline passes, to the millisecond."""
    assert story.state is not None
    at = next_due(story.state)
    assert at is not None
    assert deadline_command(story.state, at.at_ms - 1) is None
    command = deadline_command(story.state, at.at_ms + late_ms)
    assert command is not None
    story.now_ms = at.at_ms + late_ms
    story.send(command)


def captured_at_once(s: PaymentTimeline) -> None:
    s.create(**FULL)
    s.result("approved", network_reference="net_1")
    s.result("approved", "capture", network_reference="net_2")
    due(s)
    s.tell("settle")
    s.tell("refund", amount_minor=300)
    s.result("approved", "refund", network_reference="net_3")
    s.tell("refund", refund_id="ref_mine", currency="EUR")
    s.result("approved", "refund", 2)
    s.tell("refund", refund_id="ref_mine", amount_minor=1)


def three_d_secure(s: PaymentTimeline) -> None:
    s.create(**FULL, capture_method="manual")
    s.result("requires_action", action_url="https://acs.example/1", network_reference="net_1")
    s.tell("complete_action")
    s.result("requires_action", attempt=2)
    s.tell("complete_action")
    s.result("approved", attempt=3)
    s.tell("capture", amount_minor=1)
    s.result("approved", "capture")
    s.tell("capture", amount_minor=399, final=True, currency="EUR")
    s.result("approved", "capture", 2)


def abandoned(s: PaymentTimeline) -> None:
    s.create()
    s.result("requires_action", action_url="https://acs.example/1", network_reference="net_1")
    due(s, 17)
    s.result("approved", name="late")
    s.result("approved", "reverse_authorize")


def declined(s: PaymentTimeline) -> None:
    s.create(**FULL)
    s.result("declined", decline_code="insufficient_funds", reason="51", network_reference="n")
    s.result("approved", name="late", network_reference="net_late")
    s.result("unknown", "reverse_authorize", reason="time-out")
    due(s)
    s.result("failed", "reverse_authorize", attempt=2, reason="closed", decline_code="x")


def failed_without_words(s: PaymentTimeline) -> None:
    s.create()
    s.result("failed")
    s.tell("capture", amount_minor=5, refund_id="ref_1", dispute_id="dsp_1", attempt=3)


def action_then_declined(s: PaymentTimeline) -> None:
    s.create()
    s.result("requires_action", network_reference="net_1", action_url="https://acs.example/1")
    s.result("declined", decline_code="authentication_failed")


def unknown_to_the_end(s: PaymentTimeline) -> None:
    s.create(**FULL)
    s.result("unknown", reason="time-out")
    for attempt in range(2, 8):
        due(s)
        s.result("unknown", attempt=attempt, reason="time-out")
    s.tell("resolve_unknown", source=Source.OPERATOR)
    due(s)
    s.result("approved", attempt=9, network_reference="net_1")
    s.result("failed", "capture", reason="busy", decline_code="try_later")
    s.tell("capture")
    s.result("declined", "capture", 2, reason="51")
    s.result("failed", "capture", 2, name="again")


def background_capture(s: PaymentTimeline) -> None:
    s.create(capture_delay_seconds=3600)
    s.result("approved", network_reference="net_1")
    due(s)
    s.result("declined", "capture", decline_code="insufficient_funds", reason="51")
    s.tell("void")
    s.result("unknown", "void")
    due(s)
    s.result("declined", "void", attempt=2)
    s.tell("void")
    s.result("approved", "void", 2)


def expired_in_part(s: PaymentTimeline) -> None:
    s.authorized(**FULL)
    s.tell("capture", amount_minor=400)
    due(s)
    s.result("approved", "capture", attempt=2)
    due(s)


def expired(s: PaymentTimeline) -> None:
    s.authorized()
    due(s)


def silence_about_two(s: PaymentTimeline) -> None:
    s.captured(currency="JPY")
    s.tell("refund", amount_minor=1)
    s.tell("refund", amount_minor=2)
    due(s)
    due(s)
    s.result("approved", "refund", 2, attempt=2)
    s.result("declined", "refund", 1, attempt=2)


def disputes(s: PaymentTimeline) -> None:
    s.captured(capture_method="automatic")
    s.tell("open_dispute", amount_minor=100)
    s.tell("open_dispute", amount_minor=200, dispute_id="dsp_2")
    s.tell("open_dispute", amount_minor=200, dispute_id="dsp_2")
    s.tell("win_dispute", dispute_id="dsp_2")
    s.tell("win_dispute", dispute_id="dsp_2")
    s.tell("lose_dispute", dispute_id=s.state.disputes[0].dispute_id if s.state else None)
    s.tell("open_dispute", dispute_id="dsp_3", currency="EUR")
    s.tell("open_dispute", amount_minor=1, dispute_id="dsp_4")


def refused(s: PaymentTimeline) -> None:
    s.tell("capture", merchant_id="mer_2")
    s.create(amount_minor=0)
    s.create(**FULL, capture_method="manual")
    s.create(**FULL, capture_method="manual", name="under another id")
    s.tell("create", name="other")
    s.result("approved", number=7, network_reference="net_9")
    s.tell("void", mode="live")
    s.result("approved", network_reference="net_1")
    s.tell("capture", amount_minor=1, currency="USD")
    s.tell("capture", amount_minor=1001)
    s.tell("levitate")
    s.result("strange", "capture", reason="what?")
    s.tell("win_dispute", dispute_id="dsp_1")


def refunds_refused(s: PaymentTimeline) -> None:
    s.captured()
    s.tell("refund", amount_minor=0)
    s.tell("refund", amount_minor=-1)
    s.tell("refund", amount_minor=1, currency="USD")
    s.tell("refund", amount_minor=1001)
    s.tell("refund", amount_minor=999)
    s.tell("refund")
    s.tell("refund")


def rerouted(s: PaymentTimeline) -> None:
    s.create(**FULL)
    s.result("not_processed", card="jwe", reason="no connection")
    s.result("approved", name="late", network_reference="net_1")
    s.result("approved", number=2, network_reference="net_2")
    s.result("unknown", "reverse_authorize")
    due(s)
    s.result("approved", "capture")


def contradicted(s: PaymentTimeline) -> None:
    s.authorized()
    s.tell("capture", amount_minor=700)
    s.result("failed", "capture")
    s.tell("capture", amount_minor=700)
    s.result("approved", "capture", name="late", network_reference="net_x")
    s.result("approved", "capture", 2)
    s.result("approved", "reverse_capture")
    s.result("declined", "capture", 2)


LIVES: dict[str, Callable[[PaymentTimeline], None]] = {
    life.__name__: life
    for life in (
        captured_at_once,
        three_d_secure,
        abandoned,
        declined,
        failed_without_words,
        action_then_declined,
        unknown_to_the_end,
        background_capture,
        expired_in_part,
        expired,
        silence_about_two,
        disputes,
        refused,
        refunds_refused,
        rerouted,
        contradicted,
    )
}


def told(name: str, story: PaymentTimeline) -> list[Any]:
    """Commands of deadlines, events, requests: each as it differs from the last; then the state."""
    LIVES[name](story)
    sent = [command for command in story.commands if command.source == Source.DEADLINES]
    parts = (sent, story.events, story.requests)
    told = [found for part in parts for found in _differences(part)]
    state = msgspec.to_builtins(story.state)
    as_read: list[Any] = json.loads(json.dumps([*told, state]))
    return as_read


def _differences(records: Sequence[msgspec.Struct]) -> list[dict[str, Any]]:
    named = [msgspec.to_builtins(record) for record in records]
    before: list[dict[str, Any]] = [{}, *named]
    return [
        {k: v for k, v in now.items() if v != was.get(k)}
        for was, now in zip(before, named, strict=False)
    ]


def main() -> None:
    """Write the file."""
    spec = spec_from_file_location("stories", HERE / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    stories = module_from_spec(spec)
    spec.loader.exec_module(stories)
    lines = (
        json.dumps(name)
        + ": [\n"
        + ",\n".join(map(json.dumps, told(name, stories.PaymentTimeline(key=name))))
        + "\n]"
        for name in LIVES
    )
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
