"""Keys of a merchant: those of the API, and those that its producers on Kafka sign with (pure)."""

from msgspec.structs import replace

from schemas.enums import Mode, RejectionReason, Scope
from schemas.merchant_bounds import (
    API_KEYS_MAX,
    LABEL_CHARACTERS_MAX,
    PRODUCER_KEYS_MAX,
    PUBLIC_KEY_BYTES,
)
from schemas.records import ApiKey, Merchant, MerchantCommand, ProducerKey

ALL_SCOPES = tuple(scope.value for scope in Scope)
_MODES = frozenset(Mode)
_SCOPES = frozenset(Scope)


def api_key_issued(merchant: Merchant, command: MerchantCommand) -> Merchant | RejectionReason:
    """One key more; the others stay as they are. `key_expires_at_ms` is its own end."""
    if not command.key_scopes:
        return RejectionReason.FIELD_INVALID
    new = _new_api_key(merchant, command, command.key_scopes)
    if isinstance(new, RejectionReason):
        return new
    valid = _valid(merchant.api_keys, command.issued_at_ms)
    if sum(key.mode == new.mode for key in valid) >= API_KEYS_MAX:
        return RejectionReason.TOO_MANY_KEYS
    return replace(merchant, api_keys=[*valid, new])


def api_key_revoked(merchant: Merchant, command: MerchantCommand) -> Merchant | RejectionReason:
    """The key ends at once, also one that had an end of its own."""
    kept = [key for key in merchant.api_keys if key.key_id != command.key_id]
    if len(kept) == len(merchant.api_keys):
        return RejectionReason.NO_SUCH_KEY
    return replace(merchant, api_keys=kept)


def api_key_rotated(merchant: Merchant, command: MerchantCommand) -> Merchant | RejectionReason:
    """A new key; what it replaces ends at `key_expires_at_ms`, without it at once.

    It replaces `replaced_key_id`, or without it all keys of its mode. Unless the command says
    otherwise, it has the scopes of the key that it replaces.
    """
    now_ms = command.issued_at_ms
    replaced = _replaced(merchant, command)
    if isinstance(replaced, RejectionReason):
        return replaced
    scopes = command.key_scopes or (replaced[-1].scopes if replaced else list(ALL_SCOPES))
    new = _new_api_key(merchant, replace(command, key_expires_at_ms=None), scopes)
    if isinstance(new, RejectionReason):
        return new
    end_ms = now_ms if command.key_expires_at_ms is None else command.key_expires_at_ms
    ids = {key.key_id for key in replaced}
    keys = [_ended(key, end_ms) if key.key_id in ids else key for key in merchant.api_keys]
    valid = _valid(keys, now_ms)
    of_mode = [key for key in valid if key.mode == new.mode]
    dropped = {key.key_id for key in of_mode[: max(0, len(of_mode) + 1 - API_KEYS_MAX)]}
    if not dropped <= ids:
        return RejectionReason.TOO_MANY_KEYS
    return replace(merchant, api_keys=[*(k for k in valid if k.key_id not in dropped), new])


def producer_key_added(merchant: Merchant, command: MerchantCommand) -> Merchant | RejectionReason:
    """One key more, whose commands of its mode are taken until its end."""
    key_id, public_key, mode = command.key_id, command.public_key, command.key_mode
    label = command.key_label or ""
    if not key_id or mode not in _MODES or len(label) > LABEL_CHARACTERS_MAX:
        return RejectionReason.FIELD_INVALID
    if public_key is None or len(public_key) != PUBLIC_KEY_BYTES or _over(command):
        return RejectionReason.FIELD_INVALID
    keys = merchant.producer_keys
    if any(key.key_id == key_id or key.public_key == public_key for key in keys):
        return RejectionReason.ALREADY_EXISTS
    valid = [key for key in keys if _lasts(key, command.issued_at_ms)]
    if sum(key.mode == mode for key in valid) >= PRODUCER_KEYS_MAX:
        return RejectionReason.TOO_MANY_KEYS
    new = ProducerKey(
        key_id=key_id,
        public_key=public_key,
        mode=mode,
        label=label,
        created_at_ms=command.issued_at_ms,
        expires_at_ms=command.key_expires_at_ms,
    )
    return replace(merchant, producer_keys=[*valid, new])


def producer_key_removed(
    merchant: Merchant, command: MerchantCommand
) -> Merchant | RejectionReason:
    """Nothing that it signed is taken any more."""
    kept = [key for key in merchant.producer_keys if key.key_id != command.key_id]
    if len(kept) == len(merchant.producer_keys):
        return RejectionReason.NO_SUCH_KEY
    return replace(merchant, producer_keys=kept)


def _new_api_key(
    merchant: Merchant, command: MerchantCommand, scopes: list[str]
) -> ApiKey | RejectionReason:
    key_id, key_hash, mode = command.key_id, command.key_hash, command.key_mode
    label = command.key_label or ""
    if not key_id or not key_hash or mode not in _MODES or _over(command):
        return RejectionReason.FIELD_INVALID
    if not _SCOPES.issuperset(scopes) or len(label) > LABEL_CHARACTERS_MAX:
        return RejectionReason.FIELD_INVALID
    if any(key.key_id == key_id or key.key_hash == key_hash for key in merchant.api_keys):
        return RejectionReason.ALREADY_EXISTS
    return ApiKey(
        key_id=key_id,
        mode=mode,
        key_hash=key_hash,
        expires_at_ms=command.key_expires_at_ms,
        scopes=[scope for scope in ALL_SCOPES if scope in scopes],
        label=label,
        created_at_ms=command.issued_at_ms,
    )


def _replaced(merchant: Merchant, command: MerchantCommand) -> list[ApiKey] | RejectionReason:
    of_mode = [key for key in merchant.api_keys if key.mode == command.key_mode]
    if command.replaced_key_id is None:
        return of_mode
    one = [key for key in of_mode if key.key_id == command.replaced_key_id]
    return one or RejectionReason.NO_SUCH_KEY


def _ended(key: ApiKey, end_ms: int) -> ApiKey:
    """A key that ends earlier gets no more time."""
    end_ms = end_ms if key.expires_at_ms is None else min(end_ms, key.expires_at_ms)
    return replace(key, expires_at_ms=end_ms)


def _valid(keys: list[ApiKey], now_ms: int) -> list[ApiKey]:
    return [key for key in keys if _lasts(key, now_ms)]


def _lasts(key: ApiKey | ProducerKey, now_ms: int) -> bool:
    return key.expires_at_ms is None or key.expires_at_ms > now_ms


def _over(command: MerchantCommand) -> bool:
    """The new key would have ended before it began."""
    end_ms = command.key_expires_at_ms
    return end_ms is not None and end_ms <= command.issued_at_ms
