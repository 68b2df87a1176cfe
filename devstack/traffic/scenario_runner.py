"""One customer's payment from the create request to its last step, through the HTTP API."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from devstack.traffic.accepted_log import AcceptedLog
from devstack.traffic.api_client import Answer, ApiClient, GaveUpError
from devstack.traffic.card_encryption import CardEncryption
from devstack.traffic.plan_types import Intent, Step
from devstack.traffic.registration import RegisteredMerchant
from devstack.traffic.stats import Tally
from schemas.enums import PaymentStatus

WAIT_SECONDS = 5
POLL_SECONDS_FIRST = 0.2
POLL_SECONDS_MAX = 2.0
POLL_GROWTH = 1.5
STILL_BUSY = "outcome_pending"  # the step came before the one before it had its outcome
COMMANDS = {"answer": "complete_action", "capture": "capture", "void": "void", "refund": "refund"}
PATHS = {**COMMANDS, "refund": "refunds", "answer": "complete_action"}
NEEDS = {
    "answer": {PaymentStatus.REQUIRES_ACTION},
    "capture": {PaymentStatus.AUTHORIZED, PaymentStatus.PARTIALLY_CAPTURED},
    "void": {PaymentStatus.AUTHORIZED},
    "refund": {
        PaymentStatus.CAPTURED,
        PaymentStatus.PARTIALLY_CAPTURED,
        PaymentStatus.SETTLED,
    },
}
ENDED = {
    PaymentStatus.DECLINED,
    PaymentStatus.FAILED,
    PaymentStatus.VOIDED,
    PaymentStatus.EXPIRED,
}


@dataclass(frozen=True)
class Clients:
    """What all scenarios of a run share."""

    api: ApiClient
    customer: ApiClient
    cards: CardEncryption
    accepted: AcceptedLog
    stats: Tally
    step_seconds: float


class ScenarioRunner:
    """The life of one intent."""

    def __init__(self, clients: Clients, shop: RegisteredMerchant, intent: Intent) -> None:
        self._clients = clients
        self._shop = shop
        self._intent = intent
        self._payment_id = ""
        self._seen_sequence = 0

    async def run(self) -> None:
        """Send the create request and what follows; never raises for what the API answers."""
        stats = self._clients.stats
        stats.scenarios[self._intent.scenario] += 1
        try:
            if await self._create():
                await self._take_steps()
        except GaveUpError as error:
            stats.problem(str(error))
        finally:
            stats.finished += 1

    async def _create(self) -> bool:
        intent = self._intent
        body = self._create_body()
        wait_seconds = WAIT_SECONDS if intent.steps else 0
        started = time.perf_counter()
        answers = await self._copies("/v1/payments", "create", body, intent.copies, wait_seconds)
        self._clients.stats.took((time.perf_counter() - started) * 1000, waited=wait_seconds > 0)
        first = next((answer for answer in answers if answer.is_accepted), None)
        if first is None:
            self._clients.stats.problem(f"create {intent.number}: {_refusal(answers[0])}")
            return False
        self._payment_id = first.body["id"]
        self._seen(first.body)
        if intent.repeats_later:
            await self._copies("/v1/payments", "create", body, 1, 0, is_repeat=True)
        if intent.sends_other_body:
            await self._send_other_body(body)
        return True

    def _create_body(self) -> dict[str, Any]:
        intent = self._intent
        body = {
            "amount": intent.amount_minor,
            "currency": intent.currency,
            "card": self._clients.cards.card(intent.card),
            "capture_method": intent.capture_method,
            "capture_delay_seconds": intent.capture_delay_seconds,
            "reference": intent.reference,
        }
        return {name: value for name, value in body.items() if value is not None}

    async def _copies(
        self,
        path: str,
        kind: str,
        body: dict[str, Any],
        copies: int,
        wait_seconds: int,
        *,
        is_repeat: bool = False,
        suffix: str = "",
    ) -> list[Answer]:
        """Send the same request `copies` times at once; all must be about the same payment."""
        key = self._intent.idempotency_key + suffix
        requests = (
            self._clients.api.send(
                "POST",
                path,
                token=self._shop.api_key,
                key=key,
                body=body,
                wait_seconds=wait_seconds,
            )
            for _ in range(copies)
        )
        answers = await asyncio.gather(*requests)
        repeats = copies if is_repeat else copies - 1
        for answer in answers:
            await self._note(answer, kind, key)
        self._count(answers, repeats)
        self._check_copies(kind, answers)
        return answers

    async def _note(self, answer: Answer, kind: str, key: str) -> None:
        if not answer.is_accepted:
            self._clients.stats.refusals[answer.code] += 1
            return
        payment_id = answer.body.get("payment_id") or answer.body["id"]
        await self._clients.accepted.note(payment_id, kind, key, self._shop.merchant_id)

    def _count(self, answers: list[Answer], repeats: int) -> None:
        """A retry after a lost answer is a replay too, but not an intended duplicate."""
        counts = self._clients.stats.counts
        replayed = sum(answer.is_replayed for answer in answers)
        is_new = len(answers) > repeats and any(answer.is_accepted for answer in answers)
        counts["accepted"] += is_new
        counts["repeats_sent"] += repeats
        counts["repeats_absorbed"] += min(replayed, repeats)
        counts["retries_absorbed"] += max(0, replayed - repeats)

    def _check_copies(self, kind: str, answers: list[Answer]) -> None:
        ids = {a.body.get("payment_id") or a.body["id"] for a in answers if a.is_accepted}
        if self._payment_id:
            ids.add(self._payment_id)
        if len(ids) > 1:
            self._clients.stats.problem(
                f"{kind} {self._intent.number}: one key answered with several payments {ids}"
            )

    async def _send_other_body(self, body: dict[str, Any]) -> None:
        """The API rejects it at once, or accepts it and the payment rejects it."""
        answer = await self._clients.api.send(
            "POST",
            "/v1/payments",
            token=self._shop.api_key,
            key=self._intent.idempotency_key,
            body={**body, "amount": body["amount"] + 1},
        )
        if answer.status == 422:
            self._clients.stats.counts["other_bodies_refused"] += 1
        await self._note(answer, "create", self._intent.idempotency_key)

    async def _take_steps(self) -> None:
        for number, step in enumerate(self._intent.steps):
            view = await self._until(NEEDS[step.kind])
            if view is None:
                self._clients.stats.counts["steps_not_reached"] += 1
                return
            await asyncio.sleep(step.after_seconds)
            await self._take(step, f"-step-{number}", view)

    async def _take(self, step: Step, suffix: str, view: dict[str, Any]) -> None:
        if step.kind == "answer":
            await self._answer_question(view["action_url"], step.result)
        body: dict[str, Any] = {}
        if step.amount_minor is not None:
            body["amount"] = step.amount_minor
        if step.final:
            body["final"] = True
        path = f"/v1/payments/{self._payment_id}/{PATHS[step.kind]}"
        answers = await self._copies(
            path, COMMANDS[step.kind], body, step.copies, WAIT_SECONDS, suffix=suffix
        )
        self._clients.stats.counts["steps"] += 1
        self._judge(step, answers)

    def _judge(self, step: Step, answers: list[Answer]) -> None:
        stats = self._clients.stats
        refused = [answer for answer in answers if not answer.is_accepted]
        if refused:
            stats.counts["steps_refused"] += 1
        unexpected = [answer for answer in refused if answer.code != STILL_BUSY]
        if unexpected and not step.is_refused:
            stats.problem(f"{step.kind} of {self._payment_id}: {_refusal(unexpected[0])}")
        for answer in answers:
            self._seen(answer.body)

    async def _answer_question(self, action_url: str, result: str) -> None:
        """What the customer does on the network's page."""
        answer = await self._clients.customer.send("POST", action_url, body={"result": result})
        if answer.status != 200:
            self._clients.stats.problem(f"3-D Secure of {self._payment_id}: {_refusal(answer)}")

    def _seen(self, body: dict[str, Any]) -> None:
        self._seen_sequence = max(self._seen_sequence, body.get("sequence", 0))

    async def _until(self, needed: set[PaymentStatus]) -> dict[str, Any] | None:
        """The payment once it has a needed status; None if it ended, or after `step_seconds`."""
        deadline = time.monotonic() + self._clients.step_seconds
        pause = POLL_SECONDS_FIRST
        while True:
            answer = await self._clients.api.send(
                "GET", f"/v1/payments/{self._payment_id}", token=self._shop.api_key
            )
            status = answer.body.get("status")
            if answer.status == 200 and answer.body.get("sequence", 0) >= self._seen_sequence:
                if status in needed:
                    return answer.body
                if status in ENDED:
                    return None
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(pause)
            pause = min(pause * POLL_GROWTH, POLL_SECONDS_MAX)


def _refusal(answer: Answer) -> str:
    detail = answer.body.get("detail", "")
    return f"HTTP {answer.status} {answer.code}: {detail}"
