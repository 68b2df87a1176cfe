"""Settings of the status sink: section [status], PAYSTREAM_STATUS_*."""

from typing import Annotated

import msgspec


class StatusSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds and times of the writes to Valkey."""

    outcome_seconds: Annotated[int, msgspec.Meta(ge=1)] = 86_400
    """TTL of a command's outcome; a payment's view has none."""
    valkey_timeout_seconds: Annotated[float, msgspec.Meta(gt=0)] = 2.0
    retry_seconds: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """Pause before a batch that Valkey did not accept is repeated."""
    pipeline_keys_max: Annotated[int, msgspec.Meta(ge=1)] = 1000
    """Keys per round trip, so that one batch does not delay readers."""
