"""How a worker writes one record outside of a transaction."""

from collections.abc import Awaitable, Callable, Mapping

Send = Callable[[str, str, bytes, Mapping[str, bytes]], Awaitable[None]]
"""(topic, key, value, headers); returns when the broker has it. `EngineApp.produce` is one."""
