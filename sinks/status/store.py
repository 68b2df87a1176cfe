"""Documents in Valkey: an older one never replaces a newer one."""

from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from itertools import islice
from typing import TypeVar, cast

from redis.exceptions import RedisError

from runtime.store_connections import ValkeyConnection
from runtime.valkey import connect_async
from sinks.status.documents import Document
from sinks.status.settings import StatusSettings

NO_TTL = 0
T = TypeVar("T")


class StatusStoreUnavailable(Exception):
    """Valkey cannot be reached or rejects writes; try again later."""


class StatusWriter:
    """Every method raises StatusStoreUnavailable if Valkey fails; writes may be repeated."""

    def __init__(self, where: ValkeyConnection, settings: StatusSettings) -> None:
        self._settings = settings
        self._valkey = connect_async(where, settings.valkey_timeout_seconds)
        source = files("sinks.status").joinpath("set_if_newer.lua").read_text()
        self._set_if_newer = self._valkey.register_script(source)

    async def read(self, keys: Sequence[str]) -> dict[str, bytes | None]:
        """The documents of the keys."""
        found: dict[str, bytes | None] = {}
        try:
            for part in _parts(keys, self._settings.pipeline_keys_max):
                values = cast("list[bytes | None]", await self._valkey.mget(part))
                found.update(zip(part, values, strict=True))
        except (RedisError, OSError) as error:
            raise StatusStoreUnavailable(str(error)) from error
        return found

    async def write(self, documents: Iterable[Document], ttl_seconds: int = NO_TTL) -> int:
        """Write the documents that are newer than the stored ones; returns how many."""
        written = 0
        try:
            for part in _parts(documents, self._settings.pipeline_keys_max):
                written += await self._write_part(part, ttl_seconds)
        except (RedisError, OSError) as error:
            raise StatusStoreUnavailable(str(error)) from error
        return written

    async def close(self) -> None:
        """Close the connections."""
        await self._valkey.aclose()

    async def _write_part(self, documents: Sequence[Document], ttl_seconds: int) -> int:
        async with self._valkey.pipeline(transaction=False) as pipeline:
            for document in documents:
                arguments = (document.sequence, document.text, ttl_seconds)
                await self._set_if_newer([document.key], arguments, client=pipeline)
            return sum(await pipeline.execute())


def _parts(things: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(things)
    while part := list(islice(iterator, size)):
        yield part
