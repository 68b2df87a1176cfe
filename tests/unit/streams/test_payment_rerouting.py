"""An authorization that its network surely did not take is asked of the fallback."""

from __future__ import annotations

from typing import Any

from schemas.enums import EventType as E
from streams.domain import evolve


def test_the_fallback_is_asked_with_a_key_of_its_own_and_the_same_card(story: Any) -> None:
    story.create(card="jwe", return_url="https://shop.example/back")
    assert story.result("not_processed", card="jwe", reason="refused") == [E.REROUTED]
    event, request = story.events[-1], story.requests[-1]
    assert (event.status, event.network, event.reason) == ("authorizing", "fallback", "refused")
    assert (request.operation, request.attempt, request.network) == ("authorize", 1, "fallback")
    assert request.operation_id == f"{story.payment_id}:authorize:2"
    assert (request.card, request.return_url) == ("jwe", "https://shop.example/back")
    assert [o.status for o in story.state.operations] == ["failed", "in_flight"]


def test_everything_that_follows_goes_to_the_network_that_authorized(story: Any) -> None:
    story.create(card="jwe")
    story.result("not_processed", card="jwe")
    story.result("approved", number=2, network_reference="net_2")
    story.result("approved", "capture")
    story.tell("refund", amount_minor=100)
    assert [r.network for r in story.requests] == [None, "fallback", "fallback", "fallback"]
    assert {r.network_reference for r in story.requests[2:]} == {"net_2"}
    assert {e.network for e in story.events[1:]} == {"fallback"}


def test_a_late_yes_of_the_first_network_is_taken_back_there(story: Any) -> None:
    story.create(card="jwe")
    story.result("not_processed", card="jwe")
    assert story.result("declined", number=1) == [E.COMMAND_REJECTED]
    assert story.events[-1].reason == "stale_result"
    late = story.result("approved", number=1, name="late", network_reference="net_1")
    assert late == [E.REVERSAL_REQUESTED]
    void = story.requests[-1]
    assert (void.operation, void.network, void.network_reference) == ("void", None, "net_1")
    assert story.result("approved", number=2) == [E.AUTHORIZED, E.CAPTURE_REQUESTED]


def test_a_late_yes_of_the_second_network_is_taken_back_there(story: Any) -> None:
    story.create(card="jwe")
    story.result("not_processed", card="jwe")
    story.result("declined", number=2)
    late = story.result("approved", number=2, name="late", network_reference="net_2")
    assert late == [E.REVERSAL_REQUESTED]
    assert story.events[-1].network == "fallback"
    void = story.requests[-1]
    assert (void.operation, void.network, void.network_reference) == ("void", "fallback", "net_2")


def test_without_a_card_or_another_network_it_has_failed(story: Any, new_story: Any) -> None:
    story.create(card="jwe")
    assert story.result("not_processed") == [E.FAILED]
    other = new_story()
    other.create(card="jwe")
    other.result("not_processed", card="jwe")
    assert other.result("not_processed", number=2, card="jwe") == [E.FAILED]
    assert other.state.status == "failed"


def test_only_an_authorization_goes_elsewhere(story: Any) -> None:
    story.create(card="jwe")
    story.result("approved")
    assert story.result("not_processed", "capture", card="jwe") == [E.COMMAND_REJECTED]
    assert story.events[-1].reason == "field_invalid"


def test_an_answer_about_an_earlier_attempt_decides_nothing(story: Any) -> None:
    story.create(card="jwe")
    story.result("unknown")
    story.now_ms += 60_000
    story.tell("resolve_unknown")
    assert story.result("not_processed", attempt=1, card="jwe", name="old") == [E.COMMAND_REJECTED]


def test_a_customer_returns_to_the_authorization_of_the_fallback(story: Any) -> None:
    story.create(card="jwe")
    story.result("not_processed", card="jwe")
    story.result("requires_action", number=2, action_url="https://bank.example")
    assert story.tell("complete_action") == [E.ACTION_COMPLETED]
    assert story.requests[-1].operation_id == f"{story.payment_id}:authorize:2"
    assert story.state.operations[0].status == "failed"


def test_the_events_alone_tell_it(story: Any) -> None:
    story.create(card="jwe")
    story.result("not_processed", card="jwe")
    folded = None
    for event in story.events:
        folded = evolve(folded, event)
    assert folded == story.state
    assert folded is not None
    assert folded.network == "fallback"
