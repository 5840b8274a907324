"""Dropped packets: a socket's own kernel drops each packet for it without a word, as a firewall does that forgot it."""

from __future__ import annotations

import ctypes
import socket
import struct

_SO_ATTACH_FILTER = 26
"""Of Linux's asm-generic/socket.h; Python has no name for it. It does not need root."""

_DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
"""A program of one instruction (linux/filter.h): of each packet, take 0 bytes."""


def drop_all(to: socket.socket) -> None:
    """Let a connected socket hear nothing from now on: no data, no acknowledgement, no keepalive, no end."""
    program = struct.pack("HP", 1, ctypes.addressof(_DROP_ALL))  # struct sock_fprog
    to.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
