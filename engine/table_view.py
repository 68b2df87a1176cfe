"""What a function needs of a table partition: `PartitionView` is one, and so is a dict in tests."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar, overload

V = TypeVar("V")


class TableView(Protocol[V]):
    """The mapping that `table.partition(batch)` returns, by the type of its values."""

    @overload
    def get(self, key: str, /) -> V | None:
        """Value of the key, or None."""

    @overload
    def get(self, key: str, default: Any, /) -> Any:
        """Value of the key, or `default`."""

    def __contains__(self, key: str, /) -> bool: ...

    def __getitem__(self, key: str, /) -> V: ...

    def __setitem__(self, key: str, value: V, /) -> None: ...

    def __delitem__(self, key: str, /) -> None: ...
