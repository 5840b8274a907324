"""Runs a real registry that demands client certificates, and changes its certificates without refusing a connection."""

import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.authority import Authority, Pair, write_file
from tools.cluster import loaders
from tools.cluster.binaries import build
from tools.cluster.forwarding import forward_from, forward_from_loopback
from tools.cluster.ports import free_port, listens
from tools.cluster.processes import Process, start
from tools.cluster.runs import Run
from tools.cluster.waiting import wait_until

_FINISHES_WITHIN = 30.0
"""Seconds after which a retired process has no pull left to finish."""


@dataclass(frozen=True)
class RegistryPlace:
    """Where a registry listens: an address in the network namespace that `enter` leads to. Default: on loopback."""

    enter: tuple[str, ...] = ()
    address: str = "127.0.0.1"
    port: int | None = None


class Registry:
    """A registry with its own CA and one or more client CAs.

    In front is one stable port; behind it, on a socket that a link names, the registry process. `rotate` starts another
    process with other certificates on the same data and moves the link, so pulls go on.
    """

    def __init__(
        self,
        run: Run,
        host: str = "registry.example.test",
        place: RegistryPlace | None = None,
        *,
        outlives: bool = False,
    ) -> None:
        self.binaries = build("registry", "loaders")
        self._run = run
        self._host = host
        self._place = place or RegistryPlace()
        self._outlives = outlives
        self._port = self._place.port or free_port()
        self._label = f"registry-{host.split('.', maxsplit=1)[0]}-{self._port}"
        self.folder = run.subfolder(self._label)
        self.authority = Authority.create(f"{host} CA 1")
        self.client_authorities = [Authority.create(f"{host} client CA 1")]
        self._front: Process | None = None
        self._process: Process | None = None
        self._retired: list[tuple[float, Process]] = []
        self._generation = 0

    @property
    def name(self) -> str:
        """host:port, as in an image reference."""
        return f"{self._host}:{self._port}"

    @property
    def dial(self) -> str:
        """The address to connect to, in the registry's network."""
        return f"{self._place.address}:{self._port}"

    @property
    def enter(self) -> tuple[str, ...]:
        return self._place.enter

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when it accepts connections."""
        if self._front is None:
            enter, label = self._place.enter, f"{self._label}-front"
            if enter:
                self._front = forward_from(
                    self._run, label, self.dial, f"unix:{self._link}", enter=enter, outlives=self._outlives
                )
            else:
                self._front, _ = forward_from_loopback(
                    self._run, label, f"unix:{self._link}", port=self._port, outlives=self._outlives
                )
        self._process = self._start_process()
        front = self._front
        wait_until(
            lambda: listens(front.pid, self._port), f"{self.name} accepts connections", within=10, meanwhile=front.check
        )

    def stop(self) -> None:
        """Connections are refused from now on."""
        for process in self._processes():
            process.stop()
        self._front = self._process = None
        self._retired = []

    def reap(self) -> None:
        """Takes note of the end of processes that another process has ended."""
        for process in self._processes():
            process.reap()

    def rotate(
        self, *, authority: Authority | None = None, client_authorities: Sequence[Authority] | None = None
    ) -> None:
        """From now on a server certificate of that CA is shown, and client certificates of those CAs are accepted.

        New connections see the new certificates when this returns. The old process stays to finish its own: were it
        told to end, it would drop those that wait to be accepted.
        """
        self.authority = authority or self.authority
        self.client_authorities = list(client_authorities or self.client_authorities)
        old, self._process = self._process, self._start_process()
        now = time.monotonic()
        for since, process in self._retired:
            if now - since > _FINISHES_WITHIN:
                process.stop()
        self._retired = [(since, process) for since, process in self._retired if now - since <= _FINISHES_WITHIN]
        if old is not None:
            self._retired.append((now, old))

    def client(self, common_name: str = "node") -> Pair:
        """A client pair that the registry accepts."""
        return self.client_authorities[0].client(common_name)

    def push(
        self,
        repository: str = "app/tiny",
        tag: str = "1",
        *,
        add: Sequence[str] = (),
        entrypoint: str = "",
        label: str = "",
        size: int = 0,
    ) -> str:
        """Fills in a generated image (another label, another image); returns its name, host:port/repository:tag."""
        folder = self._run.subfolder(f"{self._label}/pusher")
        certificate, key = self.client("pusher").write(folder, "client")
        image = f"{self.name}/{repository}:{tag}"
        loaders.push(
            image,
            ca=write_file(folder / "ca.crt", self.authority.pem),
            certificate=certificate,
            key=key,
            dial=self.dial,
            enter=self._place.enter,
            add=add,
            entrypoint=entrypoint,
            label=label or image,
            size=size,
        )
        return image

    @property
    def _link(self) -> Path:
        return self.folder / "now.sock"

    def _processes(self) -> list[Process]:
        return [
            process
            for process in (self._front, self._process, *(old for _, old in self._retired))
            if process is not None
        ]

    def _start_process(self) -> Process:
        self._generation += 1
        generation = self._generation
        label = f"{self._label}-{generation}"
        certificate, key = self.authority.server([self._host]).write(self.folder, f"server-{generation}")
        client_cas = [
            write_file(self.folder / f"client-ca-{generation}-{number}.crt", authority.pem)
            for number, authority in enumerate(self.client_authorities)
        ]
        socket_file = self.folder / f"{generation}.sock"
        settings = {
            "version": "0.1",
            "log": {"accesslog": {"disabled": True}, "level": "info"},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "data")},
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": {
                "net": "unix",
                "addr": str(socket_file),
                "draintimeout": "10s",
                "secret": "two processes share the uploads of one folder",
                "tls": {
                    "certificate": str(certificate),
                    "key": str(key),
                    "clientcas": [str(path) for path in client_cas],
                },
            },
        }
        configuration = write_file(self.folder / f"configuration-{generation}.yaml", json.dumps(settings).encode())
        process = start(
            self._run,
            label,
            [self.binaries["registry"], "serve", configuration],
            environment={"OTEL_TRACES_EXPORTER": "none"},
            outlives=self._outlives,
        )
        wait_until(lambda: _accepts_unix(socket_file), f"{label} listens", within=20, meanwhile=process.check)
        unfinished = self._link.with_name(".now.sock.new")
        unfinished.unlink(missing_ok=True)
        unfinished.symlink_to(socket_file.name)
        unfinished.replace(self._link)
        return process


def _accepts_unix(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
