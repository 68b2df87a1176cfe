"""Registers the shops of a run as their owners would, and sends their secrets to the receiver."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass

from devstack.traffic.api_client import Answer, ApiClient, GaveUpError
from devstack.traffic.plan_types import MerchantPlan

KEY_WORKS_SECONDS = 30.0
POLL_SECONDS = 0.1
_KEY_BYTES = 16
"""Of an idempotency key."""
NO_PAYMENT = "pay_" + "0" * 26


class RegistrationError(Exception):
    """A merchant could not be registered; the sentence says why."""


@dataclass(frozen=True)
class RegisteredMerchant:
    """A registered merchant of this run; `name` and `endpoint` are for people."""

    merchant_id: str
    name: str
    api_key: str
    webhook_url: str


async def register(
    api: ApiClient,
    receiver: ApiClient | None,
    receiver_url: str,
    admin_token: str,
    plans: list[MerchantPlan],
) -> list[RegisteredMerchant]:
    """The shops in the order of their plans; new merchants at each run.

    Without a receiver they have no webhook endpoint; without the admin token they have the default
    fees. `RegistrationError` if the API refuses.
    """
    run = secrets.token_hex(3)
    shops = []
    for merchant in plans:
        url = f"{receiver_url}/hooks/{merchant.endpoint}-{run}" if receiver else ""
        shops.append(await _register_one(api, receiver, url, admin_token, merchant))
    await asyncio.gather(*(_until_key_works(api, shop) for shop in shops))
    return shops


async def _register_one(
    api: ApiClient,
    receiver: ApiClient | None,
    webhook_url: str,
    admin_token: str,
    merchant: MerchantPlan,
) -> RegisteredMerchant:
    body: dict[str, object] = {
        "name": merchant.name,
        "bank_account": merchant.bank_account,
        "payout_schedule": "manual",
    }
    if webhook_url:
        body["webhook_url"] = webhook_url
    if admin_token:
        body["fee_basis_points"] = merchant.fee_basis_points
        body["fee_fixed_minor"] = merchant.fee_fixed_minor
    key = secrets.token_urlsafe(_KEY_BYTES)
    answer = await api.send("POST", "/v1/merchants", token=admin_token, key=key, body=body)
    if answer.status not in (201, 202):
        raise RegistrationError(f"{merchant.name} was not registered: {_why(answer)}")
    if receiver and answer.body.get("webhook_endpoint"):
        await _send_secret(receiver, webhook_url, answer.body["webhook_endpoint"]["secret"])
    return RegisteredMerchant(
        answer.body["id"], merchant.name, answer.body["api_keys"]["test"], webhook_url
    )


async def _send_secret(receiver: ApiClient, webhook_url: str, secret: str) -> None:
    endpoint = webhook_url.rsplit("/", 1)[1]
    answer = await receiver.send("POST", f"/secrets/{endpoint}", body={"secret": secret})
    if answer.status != 200:
        raise RegistrationError(f"The receiver refused the secret of {endpoint}: {_why(answer)}")


async def _until_key_works(api: ApiClient, shop: RegisteredMerchant) -> None:
    """A key works as soon as every API process has read the registration."""
    deadline = time.monotonic() + KEY_WORKS_SECONDS
    while True:
        answer = await api.send("GET", f"/v1/payments/{NO_PAYMENT}", token=shop.api_key)
        if answer.status == 404:
            return
        if time.monotonic() > deadline:
            raise RegistrationError(
                f"the API key of {shop.name} does not work after {KEY_WORKS_SECONDS:.0f} s:"
                f" {_why(answer)}; does the worker `merchants` run?"
            )
        await asyncio.sleep(POLL_SECONDS)


def _why(answer: Answer) -> str:
    return str(answer.body.get("detail") or answer.body.get("message") or answer.body)


async def close_payouts(api: ApiClient, shops: list[RegisteredMerchant]) -> int:
    """Ask for a payout of everything that each shop has; the number of accepted requests."""
    accepted = 0
    for shop in shops:
        try:
            key = secrets.token_urlsafe(_KEY_BYTES)
            answer = await api.send("POST", "/v1/payouts", token=shop.api_key, key=key, body={})
        except GaveUpError:
            continue
        accepted += answer.is_accepted
    return accepted
