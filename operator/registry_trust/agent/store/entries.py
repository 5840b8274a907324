"""Entries: the three steps of a plan, each in an order that leaves the old or the new state at any crash."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from registry_trust.agent.store.directories import Directory
from registry_trust.agent.store.failures import shown
from registry_trust.agent.store.generations import build, difference, remove, temporary_name
from registry_trust.agent.store.leftovers import clear_folder
from registry_trust.agent.store.links import foreign, point, require_ours, take_away
from registry_trust.agent.store.manifest import (
    OWNER_FILE,
    Generation,
    Ownership,
    digest_of,
    is_generation_name,
    is_link_of,
    next_number,
    records,
)
from registry_trust.agent.store.open_store import OpenStore
from registry_trust.agent.store.ownership import write_ownership
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import (
    PRIVATE_DIRECTORY,
    PUBLIC_DIRECTORY,
    Layout,
    directory_mode,
    generation_name,
    render,
)
from registry_trust.core.plan import Record, Switch
from registry_trust.core.reasons import Reason


def switch(store: OpenStore, step: Switch, layout: Layout) -> str:
    """Build a new generation and point the entry to it; return the generation's name.

    The order: files, their names, the manifest, the final name, the link, and each is durable before the next. So a
    final name always stands in a manifest, a link always points to a complete generation, and a crash leaves at most
    names that the next pass knows as unfinished.

    Raises:
        StoreFailure: what failed; the entry is as it was before.
    """
    root, registry, material = store.root, step.desired.registry, step.desired.material
    with store.made_entry(step.entry) as folder:
        before = store.require_ownership(folder, step.entry)
        lost = _without_manifest(root, folder, step, layout) if before is None else {}
        ownership = before or Ownership(
            store.installation, registry, step.entry, layout.value, step.desired.trusts, lost
        )
        if not step.replace:
            require_ours(root, ownership)
        linked = ownership.generation_of(root.link_text(step.entry))
        if _is_whole(folder, linked, lost):
            write_ownership(folder, replace(ownership, current=linked))
            return linked
        name = generation_name(step.digest, next_number(step.digest, [*folder.names(), *ownership.generations]))
        files = render(layout, registry, material, name, step.desired.carrying)
        ownership = replace(
            ownership,
            registry=registry,
            layout=layout.value,
            trusts=step.desired.trusts,
            generations={**ownership.generations, name: records(files)},
            current=name,
        )
        private = directory_mode(files) == PRIVATE_DIRECTORY or ownership.is_private()
        # Narrow before the first byte; what may be wider again, the garbage collection widens.
        folder.set_mode(PRIVATE_DIRECTORY if private else PUBLIC_DIRECTORY)
        try:
            unfinished = temporary_name("new")
            build(folder, unfinished, files)
            write_ownership(folder, ownership)
            folder.rename(unfinished, folder, name)
            folder.sync()
            point(root, folder, ownership, replace=step.replace)
            root.sync()
        except StoreFailure:
            with suppress(StoreFailure):  # The first error is the one to tell.
                clear_folder(root, folder, ownership)
                _undo(root, folder, before, ownership)
            raise
    return name


def _without_manifest(root: Directory, folder: Directory, step: Switch, layout: Layout) -> dict[str, Generation]:
    """Return the generations of an entry whose manifest another process took away, as far as they are known.

    The one that the link names is ours by the form of the link. What is in a generation of the content that is wanted
    now is ours by its bytes, and goes as any other; of other content nothing is known, and it stays.
    """
    text, wanted = root.link_text(step.entry), step.desired
    linked = {text.rpartition("/")[2]} if text and is_link_of(step.entry, text) else set()
    same = {name for name in {*folder.names()} | linked if is_generation_name(name) and digest_of(name) == step.digest}
    files = {name: render(layout, wanted.registry, wanted.material, name, wanted.carrying) for name in same}
    return {name: records(files.get(name, [])) for name in linked | same}


def _is_whole(folder: Directory, name: str, lost: Mapping[str, Generation]) -> bool:
    """Say whether a generation that lost its manifest has all the bytes that are known of it."""
    if not lost.get(name) or not folder.holds_directory(name):
        return False
    with folder.open(name) as directory:
        return not difference(directory, lost[name])


def _undo(root: Directory, folder: Directory, before: Ownership | None, after: Ownership) -> None:
    """Take back a generation that the entry could not be pointed to, so that failing again costs no more space."""
    name = after.current
    if after.generation_of(root.link_text(after.entry)) == name or folder.look(OWNER_FILE) is None:
        return
    if not remove(folder, name, after.generations[name]):
        return
    folder.sync()
    if before is not None:
        write_ownership(folder, before)
    else:
        folder.unlink(OWNER_FILE)


def record_trusts(store: OpenStore, step: Record) -> None:
    """Write down which trusts an entry comes from."""
    with store.folder.open(step.entry) as folder:
        ownership = store.require_ownership(folder, step.entry)
        if ownership is not None:
            write_ownership(folder, replace(ownership, trusts=step.trusts))


def point_nowhere(store: OpenStore, entry: str) -> None:
    """Take an entry away if it is our link, put back what it replaced, and write down that it has no generation."""
    if not store.folder.holds_directory(entry):
        return
    with store.folder.open(entry) as folder:
        ownership = store.require_ownership(folder, entry)
        if ownership is None:
            return
        take_away(store.root, folder, ownership)
        if ownership.current:
            write_ownership(folder, replace(ownership, current=""))


def verify(root: Directory, store: OpenStore | None, path: str, entry: str) -> None:
    """Open an entry by the reader's path, through its link, and compare it with its manifest.

    Raises:
        StoreFailure: it is not as it was written, or not ours.
    """
    if store is None or not store.folder.holds_directory(entry):
        raise foreign(root, entry)
    with store.folder.open(entry) as folder:
        ownership = store.ownership(folder, entry)
        name = "" if ownership is None else ownership.generation_of(root.link_text(entry))
        if ownership is None or not name:
            raise foreign(root, entry)
    with Directory.open_root(path, root.path_of(entry)) as directory:
        fault = difference(directory, ownership.generations[name])
    if fault:
        raise StoreFailure(
            Reason.WRITE_FAILED,
            f"{shown(root.path_of(entry))}: {fault}, directly after it was written; it is written again",
        )
