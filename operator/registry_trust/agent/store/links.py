"""Links: points an entry to a generation or takes it away, and never loses what another process put in its place."""

from __future__ import annotations

from registry_trust.agent.store.directories import Directory, Exchange
from registry_trust.agent.store.failures import shown
from registry_trust.agent.store.generations import temporary_name
from registry_trust.agent.store.manifest import OWNER_FILE, Ownership, is_link_of, link_to
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import replaced_name
from registry_trust.core.reasons import Reason

_ATTEMPTS = 3
"""How often another process may change the entry between our look and our step before we leave it to the next pass."""


def point(root: Directory, folder: Directory, ownership: Ownership, *, replace: bool = False) -> None:
    """Make the entry a link to the current generation, in one step.

    Where nothing is, symlink(2) itself refuses to replace what appears in between. Where our own link is, the new one
    is exchanged with it and what came out is looked at: had somebody put theirs there in between, it goes back. With
    `replace`, what another process has there is exchanged with the link, and is kept.

    Raises:
        StoreFailure: ForeignFile where another process's is, and it is left alone.
    """
    entry, text = ownership.entry, link_to(ownership.entry, ownership.current)
    for _ in range(_ATTEMPTS):
        if root.look(entry) is None:
            if root.symlink(entry, text):
                return
        elif replace and not ownership.generation_of(root.link_text(entry)):
            if put_aside(root, entry, text):
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

    What the entry replaced comes back in the same step; where somebody took the place meanwhile, it stays kept.
    """
    entry = ownership.entry
    ours, kept = bool(ownership.generation_of(root.link_text(entry))), is_kept(root, entry)
    if ours and kept and _exchange_back(root, ownership):
        return
    if ours:
        # Moved aside first and looked at there: unlink(2) could not tell what it removes.
        temporary = temporary_name("link")
        root.rename(entry, folder, temporary)
        if ownership.generation_of(folder.link_text(temporary)):
            folder.unlink(temporary)
        else:
            folder.rename_to_free(temporary, root, entry)
    if kept:
        root.rename_to_free(replaced_name(entry), root, entry)
    if ours or kept:
        root.sync()


def put_aside(root: Directory, entry: str, text: str) -> bool:
    """Exchange another process's entry with a link of ours, and keep it under its other name in the same root.

    Returns:
        False where it was gone before the step.

    Raises:
        StoreFailure: ForeignFile where something is kept already, ReplaceUnsupported; nothing was changed.
    """
    kept = replaced_name(entry)
    if is_kept(root, entry):
        raise StoreFailure(
            Reason.FOREIGN_FILE,
            f"{shown(root.path_of(entry))} was put there after registry-trust had replaced something else, which is "
            f"kept as {shown(root.path_of(kept))}; move one of the two away",
        )
    if root.look(kept) is not None:
        root.unlink(kept)  # A link of ours, from an exchange that did not come about.
    root.symlink(kept, text)
    try:
        exchanged = root.exchange(kept, root, entry)
    except StoreFailure:
        root.unlink(kept)
        raise
    if exchanged is Exchange.DONE:
        return True
    root.unlink(kept)
    if exchanged is Exchange.MISSING:
        return False
    raise StoreFailure(
        Reason.REPLACE_UNSUPPORTED,
        f"{shown(root.path_of(entry))} was not replaced: its file system can't exchange two names in one step; move "
        "it away by hand, and the entry will be written at once",
    )


def is_kept(root: Directory, entry: str) -> bool:
    """Say whether what an entry replaced is kept; a link of ours under that name is only a step that was not ended."""
    kept = replaced_name(entry)
    return root.look(kept) is not None and not is_link_of(entry, root.link_text(kept))


def _exchange_back(root: Directory, ownership: Ownership) -> bool:
    """Put back what an entry of ours replaced, in one step; False where the file system knows none."""
    entry, kept = ownership.entry, replaced_name(ownership.entry)
    if root.exchange(kept, root, entry) is not Exchange.DONE:
        return False
    root.sync()  # Before our link goes: else a power loss could take both.
    if not ownership.generation_of(root.link_text(kept)):
        root.exchange(kept, root, entry)  # Somebody put theirs there in between: it stays, and what was kept is kept.
        root.sync()
        raise foreign(root, entry)
    root.unlink(kept)
    root.sync()
    return True


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


def is_orphan(store: Directory | None, entry: str) -> bool:
    """Say whether a link of ours has no manifest: another process took that away, or all of the store.

    OpenShift's node-ca removes every directory that it does not know, and leaves links. A program that clears a root
    while we write there leaves any part of what we wrote. Nobody else makes a link of this form; one whose manifest is
    there is judged by that.
    """
    if store is None or store.look(entry) is None:
        return True
    if not store.holds_directory(entry):
        return False
    with store.open(entry) as folder:
        return folder.look(OWNER_FILE) is None


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
        f"{shown(directory.path_of(name))} was not written by registry-trust; it is left alone. Move it away, and "
        "the entry will be written at once",
    )
