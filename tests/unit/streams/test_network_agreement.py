"""Domain and simulated network have the same idea of what a void does."""

from __future__ import annotations

from typing import Any

import pytest

from devstack.simulators.cards import BEHAVIOURS
from devstack.simulators.network_rules import Network, OperationRequest
from schemas.records import NetworkRequest


class Wire:
    """Takes the domain's requests to the network's rules and brings the results back."""

    def __init__(self, story: Any) -> None:
        self.story = story
        self.network = Network()
        self.carried = 0

    def carry(self) -> None:
        """Until the domain asks for nothing more."""
        while self.carried < len(self.story.requests):
            request = self.story.requests[self.carried]
            self.carried += 1
            self._operate(request)

    def _operate(self, request: NetworkRequest) -> None:
        asked = OperationRequest(
            idempotency_key=request.operation_id,
            operation=request.operation,
            amount_minor=request.amount_minor,
            currency=request.currency,
            network_reference=request.network_reference,
        )
        record = self.network.decide(
            asked, BEHAVIOURS["approve"], fingerprint="f", at_ms=1, base_url="http://network"
        )
        self.network.apply(record)
        number = int(request.operation_id.rpartition(":")[2])
        answer = self.network.answer(request.operation_id)
        fields = {name: text for name, text in answer.items() if name != "outcome" and text}
        self.story.result(answer["outcome"], request.operation, number, **fields)


@pytest.mark.parametrize(
    ("captured_minor", "status", "authorized_minor"), [(0, "voided", 0), (400, "captured", 400)]
)
def test_a_void_releases_what_was_not_captured(
    story: Any, captured_minor: int, status: str, authorized_minor: int
) -> None:
    wire = Wire(story)
    story.create(capture_method="manual", card="jwe")
    wire.carry()
    if captured_minor:
        story.tell("capture", amount_minor=captured_minor)
        wire.carry()
    story.tell("void")
    wire.carry()
    assert (story.status, story.state.authorized_minor) == (status, authorized_minor)
    assert story.state.captured_minor == captured_minor
    [void] = [line for line in wire.network.log_lines() if line["operation"] == "void"]
    assert (void["outcome"], void["amount_minor"]) == ("approved", 1000 - captured_minor)
