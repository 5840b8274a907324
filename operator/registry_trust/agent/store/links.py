"""Links: points an entry to a generation or takes it away, and never loses what somebody else put in its place."""

from __future__ import annotations

from registry_trust.agent.store.directories import Directory, Exchange
from registry_trust.agent.store.failures import shown
from registry_trust.agent.store.generations import temporary_name
from registry_trust.agent.store.manifest import Ownership, is_link_of, link_to
from registry_trust.core.errors import StoreFailure
from registry_trust.core.reasons import Reason

_ATTEMPTS = 3
"""How often somebody else may change the entry between our look and our step before we leave it to the next pass."""


def point(root: Directory, folder: Directory, ownership: Ownership) -> None:
    """Make the entry a link to the current generation, in one step.

    Where nothing is, symlink(2) itself refuses to replace what appears in between. Where our own link is, the new one
    is exchanged with it and what came out is looked at: had somebody put theirs there in between, it goes back.

    Raises:
        StoreFailure: ForeignFile where somebody else's is, and it is left alone.
    """
    entry, text = ownership.entry, link_to(ownership.entry, ownership.current)
    for _ in range(_ATTEMPTS):
        if root.look(entry) is None:
            if root.symlink(entry, text):
                return
        elif _replace(root, folder, ownership, text):
            return
    raise StoreFailure(
        Reason.CONTESTED,
        f"{shown(root.path_of(entry))} keeps appearing and disappearing; find the program that changes it",
    )


def _replace(root: Directory, folder: Directory, ownership: Ownership, text: str) -> bool:
    entry = ownership.entry
    require_ours(root, ownership)
    temporary = temporary_name("link")
    folder.symlink(temporary, text)
    try:
        exchanged = folder.exchange(temporary, root, entry)
        if exchanged is Exchange.UNSUPPORTED:
            # No atomic way back on this file system: looking directly before is the best there is.
            require_ours(root, ownership)
            folder.rename(temporary, root, entry)
            return True
        if exchanged is Exchange.DONE and not ownership.generation_of(folder.link_text(temporary)):
            folder.exchange(temporary, root, entry)
            root.sync()
            raise foreign(root, entry)
        return exchanged is Exchange.DONE
    finally:
        if ownership.generation_of(folder.link_text(temporary)):
            folder.unlink(temporary)


def take_away(root: Directory, folder: Directory, ownership: Ownership) -> None:
    """Remove the entry if it is our link; anything else stays.

    It is moved aside first and looked at there: unlink(2) could not tell what it removes.
    """
    entry = ownership.entry
    if not ownership.generation_of(root.link_text(entry)):
        return
    temporary = temporary_name("link")
    root.rename(entry, folder, temporary)
    if ownership.generation_of(folder.link_text(temporary)):
        folder.unlink(temporary)
    else:
        folder.rename_to_free(temporary, root, entry)
    root.sync()


def put_back(root: Directory, folder: Directory, temporary: str, ownership: Ownership | None) -> None:
    """Clear a temporary link that a crash left; what is not our link came from the entry and goes back there.

    If its place is taken by now, it stays where it is.
    """
    if ownership is None:
        return
    entry = ownership.entry
    if not is_link_of(entry, folder.link_text(temporary)):
        if ownership.generation_of(root.link_text(entry)):
            folder.exchange(temporary, root, entry)
        else:
            folder.rename_to_free(temporary, root, entry)
        root.sync()
    if is_link_of(entry, folder.link_text(temporary)):
        folder.unlink(temporary)


def require_ours(root: Directory, ownership: Ownership) -> None:
    """Refuse to go on where the entry is there and not our link.

    Raises:
        StoreFailure: ForeignFile.
    """
    if root.look(ownership.entry) is not None and not ownership.generation_of(root.link_text(ownership.entry)):
        raise foreign(root, ownership.entry)


def foreign(directory: Directory, name: str) -> StoreFailure:
    """Return the error for something that is in the way and that registry-trust did not write."""
    return StoreFailure(
        Reason.FOREIGN_FILE,
        f"{shown(directory.path_of(name))} was not written by registry-trust; it is left alone. Move it away, and the "
        "entry is written at once",
    )
