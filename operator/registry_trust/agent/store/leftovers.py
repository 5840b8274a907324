"""Leftovers: what a process that died in the middle of a write left behind, recognised by name and kind."""

from __future__ import annotations

import os
from collections.abc import Callable

from registry_trust.agent.store.directories import Directory
from registry_trust.agent.store.generations import is_only_link, remove_unfinished
from registry_trust.agent.store.links import put_back
from registry_trust.agent.store.manifest import OWNER_FILE, Ownership, is_link_of, temporary_kind
from registry_trust.agent.store.open_store import OpenStore
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import REPLACED


def clear_store(store: OpenStore, breathe: Callable[[], object]) -> None:
    """Remove every leftover of ours in a root; the lock is held, so nobody is still writing them.

    `breathe` is called before each entry; what it raises ends the work.

    Raises:
        StoreFailure: the first error, after everything else was tried.
    """
    error: StoreFailure | None = None
    root, directory = store.root, store.folder
    for name in root.names():
        entry = name.removeprefix(REPLACED)
        if entry != name and is_link_of(entry, root.link_text(name)):
            root.unlink(name)  # Of an exchange that did not come about, or that was taken back.
    for name in directory.names():
        breathe()
        try:
            if temporary_kind(name) == "state":
                if is_only_link(directory.look(name)):
                    directory.unlink(name)
            elif not name.startswith(".") and directory.holds_directory(name):
                _clear_entry(store, name)
        except StoreFailure as failure:
            error = error or failure
    if error is not None:
        raise error


def _clear_entry(store: OpenStore, entry: str) -> None:
    with store.folder.open(entry) as folder:
        if folder.status().st_uid != os.geteuid():
            return
        ownership = store.ownership(folder, entry)
        if ownership is None and folder.look(OWNER_FILE) is not None:
            return  # Another process's manifest: the whole directory is theirs.
        clear_folder(store.root, folder, ownership)
        empty = not folder.names()
    if empty:
        store.folder.remove_directory(entry)


def clear_folder(root: Directory, folder: Directory, ownership: Ownership | None) -> None:
    """Remove the leftovers in one entry's directory."""
    for name in folder.names():
        kind = temporary_kind(name)
        if kind == "new":
            remove_unfinished(folder, name)
        elif kind == "owner" and is_only_link(folder.look(name)):
            folder.unlink(name)
        elif kind == "link":
            put_back(root, folder, name, ownership)
