"""A collection of objects kept from watch events and complete LISTs, in whichever order they arrive."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Collection(Generic[Value]):
    """Objects by key, each with its resourceVersion; an older version never replaces a newer one.

    kopf gives neither "the list is complete" nor a deletion that was missed in a gap: events update single objects,
    and `swap` takes a complete LIST. Resource versions of one kind are comparable (Kubernetes API conventions).
    """

    def __init__(self) -> None:
        self._items: dict[str, tuple[int, Value]] = {}
        self._deleted: dict[str, int] = {}
        # kopf's handlers write on its loop's thread while the reconciler reads on another.
        self._lock = threading.Lock()
        self.newest = 0
        """Highest resourceVersion of an object or a LIST that was taken."""

    def values(self) -> Mapping[str, Value]:
        """Return the objects as they are known now."""
        with self._lock:
            return {key: value for key, (_, value) in self._items.items()}

    def get(self, key: str) -> Value | None:
        """Return one object."""
        found = self._items.get(key)
        return found[1] if found is not None else None

    def put(self, key: str, version: int, value: Value) -> bool:
        """Take an added or modified object; say whether its value is new."""
        with self._lock:
            self.newest = max(self.newest, version)
            known = self._items.get(key)
            if version <= self._deleted.get(key, -1) or (known is not None and version < known[0]):
                return False
            self._items[key] = (version, value)
            return known is None or known[1] != value

    def delete(self, key: str, version: int) -> bool:
        """Take a deletion; say whether the object was known."""
        with self._lock:
            self.newest = max(self.newest, version)
            known = self._items.get(key)
            self._deleted[key] = max(version, self._deleted.get(key, -1))
            if known is None or known[0] > version:
                return False
            del self._items[key]
            return True

    def swap(self, version: int, listed: Mapping[str, tuple[int, Value]], *, asked_at: int = 0) -> bool:
        """Take a complete LIST made at `version`; say whether anything changed by it.

        What an event said after the LIST was made stays: a newer version, a newer object, a newer deletion. Where the
        LIST is older than what was known when it was asked for (`asked_at`: `newest` at that moment), the history was
        set back, as a restored etcd does: nothing that was known from the lost one counts.
        """
        with self._lock:
            if version < asked_at:
                changed = {k: v for k, (_, v) in listed.items()} != {k: v for k, (_, v) in self._items.items()}
                self._items, self._deleted, self.newest = dict(listed), {}, version
                return changed
            self.newest = max(self.newest, version)
            merged: dict[str, tuple[int, Value]] = {}
            for key, item in listed.items():
                if self._deleted.get(key, -1) > version:
                    continue
                known = self._items.get(key)
                merged[key] = known if known is not None and known[0] > version else item
            merged |= {k: known for k, known in self._items.items() if k not in listed and known[0] > version}
            changed = {key: value for key, (_, value) in merged.items()} != {
                key: value for key, (_, value) in self._items.items()
            }
            self._items = merged
            self._deleted = {key: deleted for key, deleted in self._deleted.items() if deleted > version}
            return changed
