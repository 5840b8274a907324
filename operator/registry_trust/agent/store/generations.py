"""Generations: builds one durably, says in what it differs from its manifest, and removes exactly what was written."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence

from registry_trust.agent.store.directories import Directory
from registry_trust.agent.store.manifest import FileRecord, Generation
from registry_trust.core.layout import (
    PRIVATE_DIRECTORY,
    PRIVATE_FILE,
    PUBLIC_DIRECTORY,
    File,
    directory_mode,
    is_file_name,
)
from registry_trust.core.text import quote


def temporary_name(kind: str) -> str:
    """Return a fresh name for something unfinished; no runtime reads a name of this form."""
    return f".{kind}-{os.urandom(8).hex()}"


def build(folder: Directory, name: str, files: Sequence[File]) -> None:
    """Write a generation under a temporary name, every byte and name of it durable.

    The directory is 0700 until it is complete, so nobody but its owner can open a file that is not finished.
    """
    with folder.make(name, PRIVATE_DIRECTORY) as directory:
        for file in files:
            directory.create(file.name, file.data, file.mode)
        directory.set_mode(directory_mode(files))
        directory.sync()


def mode_of(files: Generation) -> int:
    """Return the mode that a generation's directory has, from its manifest."""
    private = any(record.mode == PRIVATE_FILE for record in files.values())
    return PRIVATE_DIRECTORY if private else PUBLIC_DIRECTORY


def difference(directory: Directory, files: Generation) -> str:
    """Say in what a generation differs from its manifest: the first fault found; empty where there is none.

    Judged by names, bytes, modes and owner, never by times: a copy that was put back has another time, and somebody
    else's edit can have the same.
    """
    fault = attributes_difference(directory.status(), mode_of(files))
    if fault:
        return f"the directory {fault}"
    names = set(directory.names())
    if files.keys() - names:
        return f"{min(files.keys() - names)} is missing"
    if names - files.keys():
        return f"{quote(min(names - files.keys()))} was added"
    faults = (_file_difference(directory, name, expected) for name, expected in sorted(files.items()))
    return next((fault for fault in faults if fault), "")


def _file_difference(directory: Directory, name: str, expected: FileRecord) -> str:
    found = directory.regular_file(name, expected.size + 1)
    if found is None:
        return f"{name} is not a regular file"
    status, data = found
    fault = attributes_difference(status, expected.mode)
    if fault:
        return f"{name} {fault}"
    return "" if _is_same(data, expected) else f"{name} has different content"


def attributes_difference(status: os.stat_result, mode: int) -> str:
    """Say in what mode or owner differ from what this process writes; empty where they don't."""
    found = stat.S_IMODE(status.st_mode)
    if found != mode:
        return f"has mode {found:04o} instead of {mode:04o}"
    if status.st_uid != os.geteuid():
        return f"belongs to uid {status.st_uid} instead of {os.geteuid()}"
    return ""


def strangers(folder: Directory, name: str, files: Generation) -> tuple[str, ...]:
    """Return the paths of what a generation holds that was not written by us, or was changed since: it stays."""
    status = folder.look(name)
    if status is None:
        return ()
    if not stat.S_ISDIR(status.st_mode):
        return (folder.path_of(name),)
    with folder.open(name) as directory:
        return tuple(directory.path_of(file) for file in directory.names() if not _is_ours(directory, file, files))


def remove(folder: Directory, name: str, files: Generation) -> bool:
    """Remove a generation by names and hashes of its manifest; False where something of others keeps it in place."""
    if not folder.holds_directory(name):
        return folder.look(name) is None
    with folder.open(name) as directory:
        for file in directory.names():
            if _is_ours(directory, file, files):
                directory.unlink(file)
        if directory.names():
            return False
    folder.remove_directory(name)
    return True


def remove_unfinished(folder: Directory, name: str) -> bool:
    """Remove what a crash left of a generation; False where something of others keeps it in place.

    There is no manifest to go by yet, so only regular files that nothing else links to and that have a name of a
    generation's file go.
    """
    if not folder.holds_directory(name):
        return folder.look(name) is None
    with folder.open(name) as directory:
        for file in directory.names():
            if is_file_name(file) and is_only_link(directory.look(file)):
                directory.unlink(file)
        if directory.names():
            return False
    folder.remove_directory(name)
    return True


def is_only_link(status: os.stat_result | None) -> bool:
    """Say whether this is a regular file of ours with no other name."""
    return (
        status is not None and stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_uid == os.geteuid()
    )


def _is_ours(directory: Directory, name: str, files: Generation) -> bool:
    expected = files.get(name)
    if expected is None:
        return False
    found = directory.regular_file(name, expected.size + 1)
    return found is not None and _is_same(found[1], expected)


def _is_same(data: bytes, expected: FileRecord) -> bool:
    return len(data) == expected.size and hashlib.sha256(data).hexdigest() == expected.sha256
