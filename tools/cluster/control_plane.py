"""Runs a real control plane as any user, on loopback: etcd, kube-apiserver, and on request the controllers."""

import http.client
import shutil
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.authority import Authority, Pair, signing_key, write_file
from tools.cluster.binaries import build
from tools.cluster.forwarding import forward_from_loopback
from tools.cluster.kubeconfig import write_kubeconfig, write_service_account_folder
from tools.cluster.kubectl import Kubectl
from tools.cluster.ports import free_port
from tools.cluster.processes import Process, start
from tools.cluster.runs import Run
from tools.cluster.waiting import wait_until

SERVICE_RANGE = "10.96.0.0/16"
SERVICE_ADDRESS = "10.96.0.1"


@dataclass(frozen=True)
class ListeningPlace:
    """Where a control plane listens. `enter` is the command that takes a process to its network namespace."""

    enter: tuple[str, ...] = ()
    address: str = "127.0.0.1"
    port: int | None = None
    """None: a free one."""


class ControlPlane:
    """A control plane of one run, usable as a context manager.

    `url` and the kubeconfigs reach it from this machine; `inside` is its host and port in its own network namespace.
    """

    def __init__(
        self,
        run: Run | None = None,
        place: ListeningPlace | None = None,
        *,
        controller_manager: bool = False,
        scheduler: bool = False,
        ca_key_usage: bool = True,
        apiserver: str = "kube-apiserver",
        outlives: bool = False,
    ) -> None:
        self.binaries = build("etcd", apiserver, "kubectl")
        self._apiserver = self.binaries[apiserver]
        if controller_manager:
            self.binaries |= build("kube-controller-manager")
        if scheduler:
            self.binaries |= build("kube-scheduler")
        self.run = run or Run.create()
        self._owns_run = run is None
        self.place = place or ListeningPlace()
        self._outlives = outlives
        self.folder = self.run.subfolder("control-plane")
        self.authority = Authority.create("test-cluster-ca", key_usage=ca_key_usage)
        self.inside = (self.place.address, self.place.port or free_port())
        self._etcd_port = 2379 if self.place.enter else free_port()
        self._etcd_peer_port = 2380 if self.place.enter else free_port()
        self.apiserver_options: tuple[str, ...] = ()
        """More arguments of the API server, from its next start on."""
        self.processes: dict[str, Process] = {}
        self.port = self.inside[1]
        """The port on this machine's loopback; with a namespace in between, that of a forwarder."""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def admin_kubeconfig(self) -> Path:
        return self.folder / "admin.kubeconfig"

    @property
    def kubectl(self) -> Kubectl:
        """kubectl as the administrator."""
        return Kubectl(self.admin_kubeconfig, self.folder / "kubectl-cache")

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when the API server is ready."""
        self._write_certificates()
        self._start_etcd()
        self.start_apiserver()
        if "kube-controller-manager" in self.binaries:
            self._start_component(
                "kube-controller-manager",
                f"--service-account-private-key-file={self.folder / 'service-accounts.key'}",
                f"--root-ca-file={self.ca_file}",
                "--use-service-account-credentials",
                f"--flex-volume-plugin-dir={self.folder / 'volume-plugins'}",  # by default it makes a folder below /usr
            )
        if "kube-scheduler" in self.binaries:
            self._start_component("kube-scheduler")

    def stop(self) -> None:
        """Ends every process; a run that was made here goes with all its files."""
        for process in reversed(self.processes.values()):
            process.kill()  # Nobody reads etcd's data again, or waits for an answer.
        self.processes.clear()
        if self._owns_run and self.run.folder.exists():
            self.run.destroy()

    def reap(self) -> None:
        """Takes note of the end of processes that another process has ended."""
        for process in self.processes.values():
            process.reap()

    def start_apiserver(self) -> None:
        """Starts the API server, also again on the same data, address and port; returns when it is ready."""
        address, port = self.inside
        folder = self.folder
        local = not self.place.enter
        command: list[str | Path] = [
            *self.place.enter,
            self._apiserver,
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            f"--bind-address={address if local else '0.0.0.0'}",  # noqa: S104 - all addresses of a namespace of its own
            f"--advertise-address={address}",
            f"--secure-port={port}",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            f"--tls-cert-file={folder / 'apiserver.crt'}",
            f"--tls-private-key-file={folder / 'apiserver.key'}",
            f"--client-ca-file={self.ca_file}",
            f"--service-account-key-file={folder / 'service-accounts.key'}",
            f"--service-account-signing-key-file={folder / 'service-accounts.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--kubelet-client-certificate={folder / 'admin.crt'}",
            f"--kubelet-client-key={folder / 'admin.key'}",
            "--kubelet-preferred-address-types=InternalIP",
            "--allow-privileged=true",
            *self.apiserver_options,
        ]
        if local:
            command.append("--endpoint-reconciler-type=none")  # an Endpoints object may not name a loopback address
        apiserver = start(self.run, "kube-apiserver", command, outlives=self._outlives)
        self.processes["kube-apiserver"] = apiserver
        wait_until(self.is_ready, "the API server is ready", within=90, every=0.1, meanwhile=apiserver.check)

    def stop_apiserver(self, *, crash: bool = False) -> None:
        apiserver = self.processes.pop("kube-apiserver")
        apiserver.kill() if crash else apiserver.stop()

    def back_up(self) -> Path:
        """Stops API server and etcd, copies etcd's data, and starts both again; returns the copy."""
        backup = self.folder / f"etcd-backup-{len(list(self.folder.glob('etcd-backup-*')))}"
        with self._without_etcd() as data:
            shutil.copytree(data, backup)
        return backup

    def restore(self, backup: Path) -> None:
        """Puts a copy of etcd's data in the place of what there is: every resource version goes back, too."""
        with self._without_etcd() as data:
            shutil.rmtree(data)
            shutil.copytree(backup, data)

    @contextmanager
    def _without_etcd(self) -> Iterator[Path]:
        """etcd's data while neither it nor the API server runs; both are started again afterwards."""
        self.stop_apiserver()
        self.processes.pop("etcd").stop()
        yield self.folder / "etcd"
        self._start_etcd()
        self.start_apiserver()

    def is_ready(self) -> bool:
        """Whether /readyz says ok."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        context.verify_flags &= (
            ~ssl.VerifyFlags.VERIFY_X509_STRICT
        )  # Python 3.13 sets it; the CA may lack the key usage extension
        context.load_cert_chain(self.folder / "admin.crt", self.folder / "admin.key")
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def kubeconfig(self, name: str, user: Pair | str, *, inside: bool = False) -> Path:
        """NAME.kubeconfig for a client pair or a token; `inside` for processes in the control plane's network."""
        server = f"https://{self.inside[0]}:{self.inside[1]}" if inside else self.url
        return write_kubeconfig(self.folder / f"{name}.kubeconfig", server, self.authority.pem, user)

    def service_account_token(
        self, namespace: str, name: str, *, node: str | None = None, pod: str | None = None, duration: str = "1h"
    ) -> str:
        """A token by TokenRequest, on request bound to a Node or a Pod that exists; then it carries the node's name."""
        bound: list[str] = []
        if kind_and_name := (("Node", node) if node else ("Pod", pod) if pod else None):
            kind, bound_name = kind_and_name
            uid = self.kubectl("get", kind, bound_name or "", "-n", namespace, "-o", "jsonpath={.metadata.uid}")
            bound = [f"--bound-object-kind={kind}", f"--bound-object-name={bound_name}", f"--bound-object-uid={uid}"]
        return self.kubectl("create", "token", name, "-n", namespace, f"--duration={duration}", *bound).strip()

    def service_account_kubeconfig(
        self, namespace: str, name: str, *, node: str | None = None, pod: str | None = None
    ) -> Path:
        token = self.service_account_token(namespace, name, node=node, pod=pod)
        return self.kubeconfig(f"{namespace}-{name}-{node or pod or 'unbound'}", token)

    def service_account_folder(
        self, namespace: str, name: str, *, node: str | None = None, pod: str | None = None
    ) -> Path:
        """The folder that a pod of this account would find at /var/run/secrets/kubernetes.io/serviceaccount."""
        token = self.service_account_token(namespace, name, node=node, pod=pod)
        folder = self.run.subfolder("service-accounts") / f"{namespace}-{name}-{node or pod or 'unbound'}"
        return write_service_account_folder(folder, self.authority.pem, token, namespace)

    def in_cluster_environment(self) -> dict[str, str]:
        """What Kubernetes tells a pod about the API server, for a process on this machine."""
        return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.port)}

    def _write_certificates(self) -> None:
        names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"]
        addresses = {self.place.address, "127.0.0.1", SERVICE_ADDRESS}
        self.authority.pair.write(self.folder, "ca")
        self.authority.server([*names, *sorted(addresses)]).write(self.folder, "apiserver")
        admin = self.authority.client("admin", ["system:masters"])
        admin.write(self.folder, "admin")
        write_file(self.folder / "service-accounts.key", signing_key(), mode=0o600)
        if self.place.enter:
            address, port = self.inside
            forwarder, self.port = forward_from_loopback(
                self.run, "forward-apiserver", f"{address}:{port}", enter=self.place.enter, outlives=self._outlives
            )
            self.processes["forward-apiserver"] = forwarder
        self.kubeconfig("admin", admin)

    def _start_etcd(self) -> None:
        clients, peers = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._etcd_peer_port}"
        command: list[str | Path] = [
            *self.place.enter,
            self.binaries["etcd"],
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
        ]
        self.processes["etcd"] = start(self.run, "etcd", command, outlives=self._outlives)

    def _start_component(self, name: str, *arguments: str) -> None:
        user = self.authority.client(f"system:{name}")
        port = () if self.place.enter else (f"--secure-port={free_port()}",)
        command: Sequence[str | Path] = [
            *self.place.enter,
            self.binaries[name],
            f"--kubeconfig={self.kubeconfig(name, user, inside=bool(self.place.enter))}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self.folder / name}",
            *port,
            *arguments,
        ]
        self.processes[name] = start(self.run, name, command, outlives=self._outlives)
