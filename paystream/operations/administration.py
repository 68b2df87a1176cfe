"""The operators' part of the HTTP API, as `paystream keys` and `paystream merchant` use it."""

from __future__ import annotations

from typing import Any

import httpx2

from runtime.id_generator import new_id

_TIMEOUT_SECONDS = 30.0
_ACTOR = "Paystream-Actor"
_REASON = "Paystream-Reason"


class AdministrationFailed(Exception):
    """The API refused, or did not answer; the message says what to do."""


class Administration:
    """Asks one API with the admin token; `actor` and `reason` are kept with each act."""

    def __init__(self, url: str, admin_token: str, actor: str, reason: str) -> None:
        headers = {"Authorization": f"Bearer {admin_token}", _ACTOR: actor, _REASON: reason}
        self._headers = {name: value for name, value in headers.items() if value}
        self._url = url.rstrip("/")

    def merchant(self, merchant_id: str) -> dict[str, Any]:
        """The merchant as it is now. Raises AdministrationFailed."""
        return dict(self._ask("GET", f"/v1/merchants/{merchant_id}"))

    def change(self, merchant_id: str, change: dict[str, Any]) -> dict[str, Any]:
        """The merchant after the change. Raises AdministrationFailed."""
        return dict(self._ask("PATCH", f"/v1/merchants/{merchant_id}", change))

    def keys(self, merchant_id: str) -> list[dict[str, Any]]:
        """API keys and producer keys, without secrets. Raises AdministrationFailed."""
        kinds = {"api": "api_keys", "producer": "producer_keys"}
        return [
            {"kind": kind, **key}
            for kind, name in kinds.items()
            for key in self._ask("GET", f"/v1/merchants/{merchant_id}/{name}")
        ]

    def make(self, merchant_id: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What the POST made; sent once. Raises AdministrationFailed."""
        return dict(self._ask("POST", f"/v1/merchants/{merchant_id}/{path}", body))

    def remove(self, merchant_id: str, path: str) -> None:
        """Revoke or remove. Raises AdministrationFailed."""
        self._ask("DELETE", f"/v1/merchants/{merchant_id}/{path}")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = self._headers | ({"Idempotency-Key": new_id("cli-")} if method == "POST" else {})
        try:
            answer = httpx2.request(
                method, self._url + path, json=body, headers=headers, timeout=_TIMEOUT_SECONDS
            )
        except httpx2.HTTPError as error:
            raise AdministrationFailed(
                f"The API at {self._url} does not answer ({error}). Check API_URL and the process."
            ) from error
        if not answer.is_success:
            raise AdministrationFailed(_refusal(answer))
        return answer.json() if answer.content else {}


def _refusal(answer: httpx2.Response) -> str:
    try:
        problem = answer.json()
        where = "".join(f" ({each['pointer']})" for each in problem.get("errors", ()))
        return f"{problem['title']}{where}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"The API answered {answer.status_code}. See its log."
