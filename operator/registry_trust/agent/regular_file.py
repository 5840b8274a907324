"""Reading files of others: a regular file of bounded size, or a refusal before a byte of it is read."""

from __future__ import annotations

import os
import stat


class Refused(OSError):
    """A file that is not read: it is not a regular file, or it is too large. The text says which."""


def read(path: str, limit: int) -> bytes:
    """Return the content of a file of at most `limit` bytes; links are followed (the kubelet's are).

    Raises:
        Refused: it is a FIFO, a device or a directory, or it is larger.
        OSError: it can't be opened or read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise Refused("is not a regular file")
        if status.st_size > limit:
            raise Refused(f"has more than {limit} bytes")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Refused(f"has more than {limit} bytes")
    return data
