"""The open store: a root, the store directory in it, and whose entries are ours; what every change is made by."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from registry_trust.agent.store.directories import Directory
from registry_trust.agent.store.failures import shown
from registry_trust.agent.store.links import foreign
from registry_trust.agent.store.manifest import OWNER_FILE, STATE_FILE, Ownership, StoreState
from registry_trust.agent.store.ownership import read_any_ownership, read_ownership, read_state
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import PRIVATE_DIRECTORY
from registry_trust.core.reasons import Reason


def may_be_entry(name: str) -> bool:
    """Say whether a name in the store directory may be that of an entry's directory."""
    return not name.startswith(".") and name != STATE_FILE


@dataclass(frozen=True, slots=True)
class OpenStore:
    """A root and its store directory, both open.

    `installation` is the one that wrote our entries; empty where none can be told for ours.
    """

    root: Directory
    folder: Directory
    installation: str

    @classmethod
    def read(cls, root: Directory, folder: Directory) -> tuple[OpenStore, StoreState | None]:
        """Return a store and what it remembers: it is whose its state says, or else whose all manifests agree on.

        Raises:
            StoreFailure: what it remembers can't be understood.
        """
        state = read_state(folder)
        if state is not None:
            return cls(root, folder, state.installation), state
        store = cls(root, folder, "")
        found = store.installations()
        return replace(store, installation=found.pop() if len(found) == 1 else ""), None

    def entries(self) -> list[str]:
        """Return the names in the store directory that may be entries' directories."""
        return [name for name in self.folder.names() if may_be_entry(name)]

    def installations(self) -> set[str]:
        """Return the installations that wrote the manifests in the store directory."""
        found: list[Ownership | None] = []
        for entry in self.entries():
            if self.folder.holds_directory(entry):
                with self.folder.open(entry) as directory:
                    found.append(read_any_ownership(directory, entry))
        return {ownership.installation for ownership in found if ownership is not None}

    @contextmanager
    def made_entry(self, entry: str) -> Iterator[Directory]:
        """Open an entry's directory; made if it is missing, and then only as wide as a key allows.

        Raises:
            StoreFailure: ForeignFile, where it is another process's.
        """
        if self.folder.look(entry) is None:
            directory = self.folder.make(entry, PRIVATE_DIRECTORY)
            self.folder.sync()
        elif self.folder.holds_directory(entry):
            directory = self.folder.open(entry)
        else:
            raise foreign(self.folder, entry)
        with directory:
            require_owner(directory)
            yield directory

    def ownership(self, directory: Directory, entry: str) -> Ownership | None:
        """Return an entry's manifest if we wrote it, from its open directory."""
        return read_ownership(directory, entry, self.installation)

    def require_ownership(self, directory: Directory, entry: str) -> Ownership | None:
        """Return an entry's manifest; None where there is none.

        Raises:
            StoreFailure: ForeignFile, where it is another installation's or none that we can read.
        """
        ownership = self.ownership(directory, entry)
        if ownership is None and directory.look(OWNER_FILE) is not None:
            raise foreign(directory, OWNER_FILE)
        return ownership


def require_owner(directory: Directory) -> None:
    """Refuse a directory of the store that belongs to another user.

    Raises:
        StoreFailure: ForeignFile.
    """
    owner = directory.status().st_uid
    if owner != os.geteuid():
        raise StoreFailure(
            Reason.FOREIGN_FILE,
            f"{shown(directory.path)} belongs to uid {owner} and registry-trust runs as uid {os.geteuid()}; "
            "it is left alone. Move it away",
        )
