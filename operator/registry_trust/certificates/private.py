"""Private keys: a value that can be written to a bundle and compared, and that nothing prints by accident."""

from __future__ import annotations

import hashlib
import hmac
from typing import Never, Self

_HIDDEN = "PrivateKey(<hidden>)"


class PrivateKey:
    """The canonical PKCS#8 PEM of one unencrypted private key; only `reveal` gives the bytes."""

    __slots__ = ("_pem",)
    _pem: bytes

    def __init__(self, pem: bytes) -> None:
        object.__setattr__(self, "_pem", bytes(pem))

    def reveal(self) -> bytes:
        """Return the PEM (64 columns, LF), for the bundle and for nothing else."""
        return self._pem

    def __repr__(self) -> str:
        return _HIDDEN

    def __format__(self, format_spec: str, /) -> str:
        return format(_HIDDEN, format_spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PrivateKey) and hmac.compare_digest(self._pem, other._pem)

    def __hash__(self) -> int:
        return hash(hashlib.sha256(self._pem).digest())

    def __setattr__(self, name: str, value: object) -> Never:
        raise AttributeError(f"a private key can't be changed ({name})")

    def __delattr__(self, name: str) -> Never:
        raise AttributeError(f"a private key can't be changed ({name})")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __getstate__(self) -> Never:
        raise TypeError("a private key can't be pickled")

    def __reduce_ex__(self, protocol: object) -> Never:
        raise TypeError("a private key can't be pickled")
