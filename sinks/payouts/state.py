"""Entries of the table `payouts`, all of one merchant in one partition (pure).

| key | entry |
|---|---|
| merchant id | MerchantPayouts |
| `{merchant}:{mode}:{currency}` | OpenBalance |
| `{merchant}:{mode}:{currency}#{n}` | ItemChunk n of the open balance |
| payout id | PayoutInProgress, until the bank has paid or rejected it |
| `item:{item id}` | SeenItem, for as long as `[payouts] item_memory_seconds` says |
"""

import msgspec


class MerchantPayouts(msgspec.Struct, frozen=True, kw_only=True, tag="merchant"):
    """What a merchant's balances share."""

    merchant_id: str
    balances: tuple[tuple[str, str], ...] = ()
    """(mode, currency) of each, in the order they came."""
    recent_requests: tuple[str, ...] = ()
    """Close requests that were handled, oldest first."""


class OpenBalance(msgspec.Struct, frozen=True, kw_only=True, tag="balance"):
    """What is owed and not yet in a payout; may be negative."""

    merchant_id: str
    mode: str
    currency: str
    amount_minor: int = 0
    item_count: int = 0
    chunks: int = 0
    """Full ItemChunks 0 … chunks-1, oldest first."""
    recent_items: tuple[str, ...] = ()
    """The items after those."""
    closings: int = 0
    """How often the balance was emptied; makes the ids of payouts."""
    due_at_ms: int | None = None
    """When the daily schedule closes it."""


class ItemChunk(msgspec.Struct, frozen=True, kw_only=True, tag="chunk"):
    """Item ids of an open balance."""

    items: tuple[str, ...]


class PayoutInProgress(msgspec.Struct, frozen=True, kw_only=True, tag="payout"):
    """A payout that the bank has neither paid nor rejected."""

    payout_id: str
    merchant_id: str
    mode: str
    currency: str
    amount_minor: int
    item_count: int
    bank_account: str
    created_at_ms: int
    attempts: int = 0
    """Calls without a clear result so far."""
    due_at_ms: int
    """When the bank is called (again)."""


class SeenItem(msgspec.Struct, frozen=True, kw_only=True, tag="seen"):
    """An item that counts already: a second copy of it has no effect."""

    forgotten_at_ms: int


Entry = MerchantPayouts | OpenBalance | ItemChunk | PayoutInProgress | SeenItem

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Entry).decode


def due_ms(entry: Entry) -> int | None:
    """When the entry is due: a balance to be closed, a payout to be sent."""
    if isinstance(entry, OpenBalance | PayoutInProgress):
        return entry.due_at_ms
    return None


def balance_key(merchant_id: str, mode: str, currency: str) -> str:
    """Table key of an open balance."""
    return f"{merchant_id}:{mode}:{currency}"


def chunk_key(balance: OpenBalance, number: int) -> str:
    """Table key of the nth full chunk of an open balance."""
    return f"{balance_key(balance.merchant_id, balance.mode, balance.currency)}#{number}"


def expires_ms(entry: Entry) -> int | None:
    """When the entry is gone, by the time of records."""
    return entry.forgotten_at_ms if isinstance(entry, SeenItem) else None


def item_key(item_id: str) -> str:
    """Key of a SeenItem."""
    return f"item:{item_id}"
