"""Writes kubeconfig files and the folder that a pod finds its service account in."""

import base64
import json
from pathlib import Path
from typing import Any

from tools.authority import Pair, write_file


def write_kubeconfig(path: Path, server: str, ca: bytes, user: Pair | str) -> Path:
    """A kubeconfig (JSON, which is YAML) with mode 0600 for a client pair or a bearer token."""
    credentials: dict[str, Any] = (
        {"token": user}
        if isinstance(user, str)
        else {"client-certificate-data": _base64(user.certificate), "client-key-data": _base64(user.key)}
    )
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority-data": _base64(ca)}}],
        "users": [{"name": "user", "user": credentials}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user"}}],
        "current-context": "test",
    }
    return write_file(path, json.dumps(content, indent=1).encode(), mode=0o600)


def write_service_account_folder(folder: Path, ca: bytes, token: str, namespace: str) -> Path:
    """The files of /var/run/secrets/kubernetes.io/serviceaccount; written again, the token changes in one step."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_file(folder / "ca.crt", ca)
    write_file(folder / "namespace", namespace.encode())
    write_file(folder / "token", token.encode(), mode=0o600)
    return folder


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
