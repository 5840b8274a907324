"""Ownership on disk: reads and durably replaces the manifests `owner.json` and `state.json`."""

from __future__ import annotations

from registry_trust.agent.store.directories import Directory
from registry_trust.agent.store.failures import shown
from registry_trust.agent.store.generations import temporary_name
from registry_trust.agent.store.manifest import (
    OWNER_FILE,
    SIZE_LIMIT,
    STATE_FILE,
    Ownership,
    StoreState,
    UnusableManifest,
    decode_ownership,
    decode_state,
    encode_ownership,
    encode_state,
)
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import PUBLIC_FILE
from registry_trust.core.reasons import Reason


def read_any_ownership(folder: Directory, entry: str) -> Ownership | None:
    """Return an entry's manifest, whichever installation wrote it; None where there is no usable one."""
    found = folder.regular_file(OWNER_FILE, SIZE_LIMIT)
    if found is None:
        return None
    try:
        ownership = decode_ownership(found[1])
    except UnusableManifest:
        return None
    return ownership if ownership.entry == entry else None


def read_ownership(folder: Directory, entry: str, installation: str) -> Ownership | None:
    """Return an entry's manifest if this installation wrote it."""
    ownership = read_any_ownership(folder, entry)
    return ownership if ownership is not None and installation and ownership.installation == installation else None


def write_ownership(folder: Directory, ownership: Ownership) -> None:
    """Replace an entry's manifest, durably."""
    _replace(folder, OWNER_FILE, "owner", encode_ownership(ownership))


def read_state(store: Directory) -> StoreState | None:
    """Return what the root remembers; None where it never did.

    Raises:
        StoreFailure: ForeignFile, where the file is there and can't be understood: then nothing may be changed.
    """
    found = store.regular_file(STATE_FILE, SIZE_LIMIT)
    if found is None:
        if store.look(STATE_FILE) is None:
            return None
        reason = "it is not a regular file"
    else:
        try:
            return decode_state(found[1])
        except UnusableManifest as error:
            reason = str(error)
    raise StoreFailure(
        Reason.FOREIGN_FILE,
        f"{shown(store.path_of(STATE_FILE))} can't be used: {reason}. Nothing in this root is changed; restore the "
        "file, or move it away",
    )


def write_state(store: Directory, state: StoreState) -> None:
    """Replace what the root remembers, durably."""
    _replace(store, STATE_FILE, "state", encode_state(state))


def _replace(directory: Directory, name: str, kind: str, data: bytes) -> None:
    temporary = temporary_name(kind)
    try:
        directory.create(temporary, data, PUBLIC_FILE)
        directory.rename(temporary, directory, name)
    except StoreFailure:
        _discard(directory, temporary)
        raise
    directory.sync()


def _discard(directory: Directory, temporary: str) -> None:
    try:
        directory.unlink(temporary)
    except StoreFailure:
        return  # The first error is the one to tell; the next pass clears what is left.
