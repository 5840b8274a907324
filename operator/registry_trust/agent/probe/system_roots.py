"""The system's roots of a node, where Go's crypto/x509 looks for them (root_linux.go, root_unix.go)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from registry_trust.agent.probe.files import NotAsTheRuntime, certificates

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_DIRECTORIES = ("/etc/ssl/certs", "/etc/pki/tls/certs")
"""Go takes the first of these files that can be read, and every file of both directories."""

_OVERRIDES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


_MOST_LINKS = 100


_IN_BUNDLE = ("usr/share/ca-certificates/", "usr/local/share/ca-certificates/")
"""Where Debian's links lead; its update-ca-certificates writes all that they lead to into the first of the bundles."""


def system_roots(
    environment: Mapping[str, str], root: Path = Path("/"), *, partial: bool = False
) -> tuple[bytes, ...] | None:
    """Return the DER of every certificate that Go takes for the system's; None if they can't all be seen.

    Args:
        environment: the runtime's own; with a variable of Go's in it that names other files, nothing is seen.
        root: where the host's file system is.
        partial: only /etc/ssl/certs of it is there, so a link can lead to something that is out of sight.
    """
    if any(environment.get(name) for name in _OVERRIDES):
        return None
    found: dict[bytes, None] = {}
    try:
        for path in dict.fromkeys(_files(root, partial=partial)):
            found |= dict.fromkeys(certificates(str(path)))
    except (OSError, NotAsTheRuntime):
        return None
    return tuple(found) or None


def _files(root: Path, *, partial: bool) -> Iterator[Path]:
    bundles = _BUNDLES[:1] if partial else _BUNDLES
    bundle = next((path for name in bundles if (path := _on_host(root, name)).is_file()), None)
    if partial and bundle is None:
        raise OSError("which bundle Go takes can't be seen")
    if bundle is not None:
        yield bundle
    for name in _DIRECTORIES:
        if (directory := _on_host(root, name)).is_dir():
            for each in sorted(directory.iterdir()):
                path = _on_host(root, f"{name}/{each.name}")
                if path.is_file():
                    yield path
                elif partial and not path.exists() and not str(path.relative_to(root)).startswith(_IN_BUNDLE):
                    raise OSError("what a link leads to can't be seen")


def _on_host(root: Path, name: str) -> Path:
    """Return the place of a file of the host, its links followed inside of `root`.

    Raises:
        OSError: there are too many links.
    """
    done, parts = root, [part for part in name.split("/") if part]
    for _ in range(_MOST_LINKS):
        if not parts:
            return done
        part = parts.pop(0)
        if part == "..":
            done = done.parent if done != root else root
        elif part != "." and (done / part).is_symlink():
            target = (done / part).readlink()
            done = root if target.is_absolute() else done
            parts = [*(part for part in target.parts if part != "/"), *parts]
        elif part != ".":
            done /= part
    raise OSError("too many links")
