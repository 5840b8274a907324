"""The connection to the API server: one configuration for the official client and for kopf."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kopf
import urllib3
from kubernetes import client, config

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0
_KEEPALIVE = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
]
"""No 40 ms of delayed acknowledgement on each write; a peer that is silently gone is noticed after 90 seconds."""


def lenient(context: ssl.SSLContext) -> ssl.SSLContext:
    """Clear VERIFY_X509_STRICT, which Python 3.13 sets by default.

    It refuses cluster CAs without a key-usage extension; Go clients accept them and many clusters have one. Chain,
    name and dates are verified all the same.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


@dataclass(frozen=True)
class LenientConnectionInfo(kopf.ConnectionInfo):
    """kopf's connection with a TLS context that takes the cluster CAs that Go clients take."""

    def as_ssl_context(self) -> ssl.SSLContext:
        """Return kopf's own context without the strict flag."""
        return lenient(super().as_ssl_context())


def load(kubeconfig: str) -> Any:
    """Return the official client's configuration: from a kubeconfig file, or from inside a cluster."""
    configuration = client.Configuration()
    configuration.keep_alive = True
    configuration.retries = False
    if kubeconfig:
        config.load_kube_config(  # type: ignore[no-untyped-call]  # the client carries no types here
            config_file=kubeconfig, client_configuration=configuration
        )
    else:
        config.load_incluster_config(  # type: ignore[no-untyped-call]  # as above
            client_configuration=configuration
        )
    return configuration


def api_client(configuration: Any) -> client.ApiClient:
    """Return an official client on that configuration."""
    api = client.ApiClient(configuration=configuration)
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    api.rest_client.pool_manager = urllib3.PoolManager(
        ssl_context=lenient(context), retries=False, maxsize=4, socket_options=_KEEPALIVE
    )
    return api


def kopf_connection(configuration: Any) -> LenientConnectionInfo:
    """Return kopf's connection, read anew at each login, so that a rotated token is seen."""
    names = ("authorization", "BearerToken")  # in a cluster, and from a kubeconfig
    header = next((found for name in names if (found := configuration.get_api_key_with_prefix(name))), "")
    scheme, _, token = header.rpartition(" ")
    return LenientConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        scheme=scheme or None,
        token=token or None,
        certificate_path=configuration.cert_file or None,
        private_key_path=configuration.key_file or None,
    )


def in_cluster_namespace() -> str:
    """Return the namespace of the pod that this process runs in, or an empty string."""
    path = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
    return path.read_text().strip() if path.exists() else ""
