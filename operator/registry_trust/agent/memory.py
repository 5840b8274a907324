"""Memory: tells the C library to give back what a large bundle needed while it was decoded."""

from __future__ import annotations

import ctypes
import gc

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Parameters of glibc's mallopt(3), malloc.h."""

_LARGE = 64 << 10
"""Bytes from which a block is mapped on its own, and so given back when it is freed."""


def economise() -> None:
    """Set the allocator for a process that is on every node; call it before the first thread starts.

    A bundle of 1 MiB passes through memory three times (event, text, blobs). glibc's defaults would keep that, in an
    arena for each thread. Other C libraries have no such call, and nothing happens.
    """
    library = ctypes.CDLL(None)
    mallopt = getattr(library, "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _LARGE)
    gc.collect()
    gc.freeze()
    give_back()


def give_back() -> None:
    """Give free memory back to the system."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
