"""`paystream keys`: a merchant's API keys and its producers' public keys."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cyclopts import Parameter
from rich.table import Table

from paystream.cli.administration import administration
from paystream.cli.output import CliError, console, print_json

Action = Literal["list", "issue", "rotate", "revoke", "add-producer", "remove-producer"]
_DAY_SECONDS = 86_400
_OF_A_KEY = frozenset({"rotate", "revoke", "remove-producer"})
_REMOVES = frozenset({"revoke", "remove-producer"})
_PATHS: dict[str, str] = {
    "issue": "api_keys",
    "rotate": "api_keys/{key}/rotate",
    "revoke": "api_keys/{key}",
    "add-producer": "producer_keys",
    "remove-producer": "producer_keys/{key}",
}


@Parameter(name="*")
@dataclass(frozen=True)
class NewKey:
    """What a new key is.

    Args:
        mode: Of a new key.
        scopes: Of a new API key: read, write, refunds, payouts, separated by commas.
        label: Of a new key.
        expires_in_days: End of a new key; 0 means none.
        overlap_seconds: How long a rotated key goes on to work.
        public_key: For add-producer: Ed25519, the 32 bytes in base64.
    """

    mode: Literal["test", "live"] = "live"
    scopes: str = "read"
    label: str = ""
    expires_in_days: int = 0
    overlap_seconds: int = _DAY_SECONDS
    public_key: str = ""

    def body(self, action: Action) -> dict[str, Any]:
        """The request that makes it."""
        label = self.label or None
        if action == "rotate":
            return {"overlap_seconds": self.overlap_seconds, "label": label}
        new: dict[str, Any] = {"mode": self.mode, "label": label}
        if self.expires_in_days:
            new["expires_in_seconds"] = self.expires_in_days * _DAY_SECONDS
        if action == "issue":
            return new | {"scopes": [scope.strip() for scope in self.scopes.split(",")]}
        return new | {"public_key": self.public_key}


_NEW = NewKey()


def keys(
    action: Action,
    merchant: str,
    key: str = "",
    *,
    new: NewKey = _NEW,
    reason: str = "",
    actor: str = "",
    json: bool = False,
    env_file: Path | None = None,
) -> int:
    """List, issue, rotate and revoke the keys of a merchant; a new key is shown once.

    Example: paystream keys revoke mer_… key_… --reason "lost laptop"

    Args:
        action: What to do.
        merchant: Whose keys, mer_….
        key: Which key, for rotate, revoke and remove-producer; `paystream keys list` shows ids.
        reason: Why, for the record; everything but list needs one.
        actor: Who decides; the user of this machine if left out.
        json: Print JSON.
        env_file: Addresses of the stack, as written by `paystream up`.
    """
    with administration(env_file, actor, reason, reads=action == "list") as api:
        if action in _OF_A_KEY and not key:
            raise CliError(f"No key to {action} was named. `paystream keys list` shows the ids.")
        if action == "list":
            return _list(api.keys(merchant), merchant, json)
        path = _PATHS[action].format(key=key)
        if action in _REMOVES:
            api.remove(merchant, path)
            _show({"id": key, "removed": True}, json)
        else:
            _show(api.make(merchant, path, new.body(action)), json)
    return 0


def _list(found: list[dict[str, Any]], merchant: str, json: bool) -> int:
    if json:
        print_json(found)
        return 0
    names = ("id", "kind", "mode", "scopes", "label", "created_at_ms", "expires_at_ms")
    table = Table(*names, title=f"{len(found)} keys of {merchant}")
    for row in found:
        values = {**row, "scopes": " ".join(row.get("scopes", ()))}
        table.add_row(*("" if values.get(n) is None else str(values[n]) for n in names))
    console.print(table)
    return 0


def _show(made: dict[str, Any], json: bool) -> None:
    if json:
        print_json(made)
        return
    for name, value in made.items():
        console.print(f"{name}: {value}", highlight=False, soft_wrap=True)
