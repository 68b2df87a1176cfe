"""The services that routes receive, by the name of the handler's parameter."""

from typing import Any

from litestar.di import Provide

from ingest_api.services import Services

_NAMES = (
    "administration",
    "authenticator",
    "card_key",
    "merchant_keys",
    "notifications",
    "payment_commands",
    "payment_reader",
    "publisher",
    "registration",
    "registry",
)


def dependencies(services: Services | None) -> dict[str, Provide]:
    """Providers for all routes; without services, for the OpenAPI document alone."""
    provided = {name: services and getattr(services, name) for name in _NAMES}
    return {name: _provide(value) for name, value in {**provided, "services": services}.items()}


def _provide(value: Any) -> Provide:
    def provider() -> Any:
        return value

    return Provide(provider, sync_to_thread=False)
