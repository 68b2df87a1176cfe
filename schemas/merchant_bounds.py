"""Bounds of a merchant's record: the API refuses beyond them, and so does the merchants agent."""

API_KEYS_MAX = 10
"""Of one merchant and mode."""
PRODUCER_KEYS_MAX = 10
"""Of one merchant and mode."""
PUBLIC_KEY_BYTES = 32
"""Of Ed25519 (RFC 8032)."""
LABEL_CHARACTERS_MAX = 80
REQUESTS_MAX = 1_000_000
"""Largest limit of one merchant: requests per second, and at once."""
ENDPOINTS_MAX = 20
"""Webhook endpoints of one merchant; removed ones make room."""
