"""Recording: what the store did to a file system, call by call, as changes of a tree that is in memory."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from registry_trust.agent.store import directories, linux_calls


@dataclass(frozen=True, slots=True)
class Inode:
    """A directory (`names` to nodes), a file (`data`) or a link (`text`); what it was when a machine stopped."""

    kind: str
    mode: int = 0
    data: bytes = b""
    text: str = ""
    names: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Names:
    """A change of one directory's names, all of it or nothing; None takes a name away."""

    node: int
    names: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True, slots=True)
class Data:
    """A file's whole content after a write."""

    node: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Mode:
    """A new mode."""

    node: int
    mode: int


@dataclass(frozen=True, slots=True)
class Sync:
    """All changes of this node so far are durable."""

    node: int


@dataclass(frozen=True, slots=True)
class Reported:
    """The pass said that everything is in place."""


Change = Names | Data | Mode
Event = Change | Sync | Reported


@dataclass
class Recording:
    """The nodes that there ever were (those at the start as they were, later ones empty), and what happened."""

    nodes: dict[int, Inode] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    root: int = 0
    _of_inode: dict[int, int] = field(default_factory=dict)
    _names: dict[int, dict[str, int]] = field(default_factory=dict)
    _data: dict[int, bytes] = field(default_factory=dict)

    def take(self, path: Path) -> int:
        """Add what is at a path and below it, durable; return its node."""
        status = path.lstat()
        names: dict[str, int] = {}
        data = text = b""
        kind = "directory" if stat.S_ISDIR(status.st_mode) else "link" if stat.S_ISLNK(status.st_mode) else "file"
        if kind == "directory":
            names = {found.name: self.take(found) for found in sorted(path.iterdir())}
        elif kind == "link":
            text = os.fsencode(path.readlink())
        else:
            data = path.read_bytes()
        node = Inode(kind, stat.S_IMODE(status.st_mode), data, os.fsdecode(text), tuple(names.items()))
        return self._add(status.st_ino, node)

    def _add(self, inode: int, node: Inode) -> int:
        number = len(self.nodes) + 1
        self.nodes[number] = node
        self._of_inode[inode] = number  # A file system may give the number of a removed file again.
        self._names[number] = dict(node.names)
        self._data[number] = node.data
        return number

    def _node(self, descriptor: int) -> int:
        return self._of_inode[os.fstat(descriptor).st_ino]

    def _set(self, directory: int, **names: int | None) -> None:
        for name, node in names.items():
            if node is None:
                self._names[directory].pop(name, None)
            else:
                self._names[directory][name] = node
        self.events.append(Names(directory, tuple(names.items())))

    # What the primitives did, after they did it

    def made(self, name: str, directory: int, kind: str, text: str = "") -> None:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        number = self._add(status.st_ino, Inode(kind, stat.S_IMODE(status.st_mode), text=text))
        self._set(self._node(directory), **{name: number})

    def wrote(self, descriptor: int, data: bytes) -> None:
        node = self._node(descriptor)
        self._data[node] += data
        self.events.append(Data(node, self._data[node]))

    def changed_mode(self, descriptor: int, mode: int) -> None:
        self.events.append(Mode(self._node(descriptor), mode))

    def synced(self, descriptor: int) -> None:
        self.events.append(Sync(self._node(descriptor)))

    def removed(self, name: str, directory: int) -> None:
        self._set(self._node(directory), **{name: None})

    def renamed(self, source: int, name: str, target: int, new_name: str, *, exchange: bool = False) -> None:
        """Note a rename; of two directories each has its own half, which may get lost alone."""
        from_, to = self._node(source), self._node(target)
        moved, other = self._names[from_][name], self._names[to].get(new_name) if exchange else None
        if from_ == to:
            self._set(from_, **{name: other, new_name: moved})
        else:
            self._set(to, **{new_name: moved})
            self._set(from_, **{name: other})

    def state(self) -> dict[int, Inode]:
        """Return every node as it is at the start, to apply changes to."""
        return {number: replace(node) for number, node in self.nodes.items()}


class _Recorded:
    """A module whose changing functions are noted once they worked."""

    def __init__(self, module: ModuleType, recording: Recording) -> None:
        self._module = module
        self._noted: dict[str, Callable[..., None]] = {
            "mkdir": lambda name, *_, dir_fd: recording.made(name, dir_fd, "directory"),
            "write": lambda descriptor, data: recording.wrote(descriptor, bytes(data)),
            "fchmod": recording.changed_mode,
            "fsync": recording.synced,
            "symlink": lambda text, name, *, dir_fd: recording.made(name, dir_fd, "link", text),
            "rename": lambda name, new, *, src_dir_fd, dst_dir_fd: recording.renamed(src_dir_fd, name, dst_dir_fd, new),
            "unlink": lambda name, *, dir_fd: recording.removed(name, dir_fd),
            "rmdir": lambda name, *, dir_fd: recording.removed(name, dir_fd),
            "renameat2": lambda source, name, target, new, flags: recording.renamed(
                source, name, target, new, exchange=flags == linux_calls.RENAME_EXCHANGE
            ),
        }
        self._recording = recording

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        if name == "open":

            def opened(path: str, flags: int, *mode: int, **options: int) -> int:
                descriptor: int = found(path, flags, *mode, **options)
                if flags & os.O_CREAT:
                    self._recording.made(path, options["dir_fd"], "file")
                return descriptor

            return opened
        if name not in self._noted:
            return found

        def called(*arguments: Any, **options: Any) -> Any:
            result = found(*arguments, **options)
            self._noted[name](*((arguments[0], arguments[1][:result]) if name == "write" else arguments), **options)
            return result

        return called


@contextmanager
def recorded(path: Path) -> Iterator[Recording]:
    """Record everything that the store does to a root inside the body."""
    recording = Recording()
    recording.root = recording.take(path)
    original = vars(directories)["os"], vars(directories)["linux_calls"]
    vars(directories).update(os=_Recorded(original[0], recording), linux_calls=_Recorded(original[1], recording))
    try:
        yield recording
    finally:
        vars(directories).update(os=original[0], linux_calls=original[1])
