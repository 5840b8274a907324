"""Garbage: removes generations that nothing points to any more, a while after this process saw them superseded."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from registry_trust.agent.store.directories import Directory
from registry_trust.agent.store.failures import shown
from registry_trust.agent.store.generations import remove
from registry_trust.agent.store.links import is_kept
from registry_trust.agent.store.manifest import OWNER_FILE, Ownership
from registry_trust.agent.store.ownership import read_ownership, write_ownership
from registry_trust.core.errors import StoreFailure
from registry_trust.core.findings import Finding
from registry_trust.core.layout import PUBLIC_DIRECTORY
from registry_trust.core.reasons import Reason

RETRY = 60.0
"""Seconds from an error in an entry's garbage to the next try."""


class Calendar:
    """When this process saw each generation superseded; a restart begins anew, which only keeps files longer."""

    def __init__(self, grace: float, monotonic: Callable[[], float]) -> None:
        self._grace = grace
        self._monotonic = monotonic
        self._seen: dict[tuple[str, str], float] = {}
        self._failed: dict[str, tuple[float, Finding]] = {}
        self.findings: tuple[Finding, ...] = ()

    def collect(
        self,
        root: Directory,
        store: Directory,
        installation: str,
        *,
        immediately: bool,
        enough: Callable[[], bool] = lambda: False,
    ) -> float | None:
        """Remove what is due in every entry of ours, until it is enough; return the seconds until the next is due.

        One entry's error never stops the others; it stands in `findings`, and that entry is left alone for a while:
        even a failed write is a change, and wakes those who watch the folder.
        """
        now = self._monotonic()
        seen: dict[tuple[str, str], float] = {}
        findings: list[Finding] = []
        due: list[float] = []
        for entry in store.names():
            if entry.startswith("."):
                continue
            if enough():
                seen.update({key: since for key, since in self._seen.items() if key[0] == entry})
                due.append(now - self._grace)
                continue
            if entry in self._failed and now < self._failed[entry][0]:
                retry, finding = self._failed[entry]
                findings.append(finding)
                due.append(retry - self._grace)
                seen.update({key: since for key, since in self._seen.items() if key[0] == entry})
                continue
            self._failed.pop(entry, None)
            try:
                if not store.holds_directory(entry):
                    continue
                with store.open(entry) as folder:
                    ownership = read_ownership(folder, entry, installation)
                    if ownership is None:
                        continue
                    live = {ownership.current, ownership.generation_of(root.link_text(entry))}
                    waiting = {name: self._seen.get((entry, name), now) for name in ownership.generations.keys() - live}
                    ripe = {name for name, since in waiting.items() if immediately or now - since >= self._grace}
                    seen.update({(entry, name): since for name, since in waiting.items()})
                    due.extend(since for name, since in waiting.items() if name not in ripe)
                    # The manifest stays as long as something is kept that is to be put back.
                    last = not (live - {""}) and not is_kept(root, entry)
                    empty = _remove_generations(folder, ownership, ripe, last=last)
                if empty:
                    store.remove_directory(entry)
                    store.sync()
            except StoreFailure as error:
                findings.append(Finding(error.reason, error.message))
                self._failed[entry] = (now + RETRY, findings[-1])
                due.append(now + RETRY - self._grace)
        self._seen, self.findings = seen, tuple(findings)
        return max(0.0, min(due) + self._grace - now) if due else None


def _remove_generations(folder: Directory, ownership: Ownership, ripe: set[str], *, last: bool) -> bool:
    """Remove generations, and the manifest with the last of them; say whether the folder is empty then.

    The manifest stays where something of others is beside it, and then it lists no generation any more.
    """
    gone = {name for name in sorted(ripe) if remove(folder, name, ownership.generations[name])}
    kept = {name: files for name, files in ownership.generations.items() if name not in gone}
    if gone:
        folder.sync()  # Before the manifest forgets them: a name that came back would be a stranger's.
    if last and not kept and folder.names() == [OWNER_FILE]:
        folder.unlink(OWNER_FILE)
        return True
    if gone:
        ownership = replace(ownership, generations=kept)
        write_ownership(folder, ownership)
    if ownership.generations and not ownership.is_private():
        folder.set_mode(PUBLIC_DIRECTORY)
    return False


def require_owner(directory: Directory) -> None:
    """Refuse a directory of the store that belongs to somebody else.

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
