"""Asks the loaders program what docker, containers/image and containerd make of a directory, and to pull through it."""

import itertools
import json
import os
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue
from types import TracebackType
from typing import Any, Self

from registry_trust.core.layout import Layout
from tools.cluster.binaries import binary
from tools.cluster.processes import die_with_parent, marked_environment
from tools.cluster.runs import Run

GENERATIONS = {
    "loaders": tuple(Layout),
    "loaders-docker-20.10": (Layout.DOCKER,),
    "loaders-moby": (Layout.DOCKER,),
    "loaders-containerd-1.7": (Layout.CONTAINERD,),
}
"""Programs that read once or in a loop, and the layouts that each knows; only the first also pulls."""


@dataclass(frozen=True)
class Expectation:
    """What each read of a spin must find, whatever is written meanwhile; a round that finds other things has failed."""

    cas: int
    pairs: int
    agree: bool = False
    """All subjects are the same: what was read was written together."""


class LoadersError(AssertionError):
    """The loaders program could not do what was asked; the message has its words."""


@dataclass(frozen=True)
class Read:
    """What a loader made of a directory; `error` has its own words when it refused."""

    ok: bool
    error: str
    ms: float
    ca_subjects: tuple[str, ...]
    """Subjects of the CA roots beyond the system's, such as `CN=registry CA`."""
    certificates: tuple[str, ...]
    """SHA-256 (hexadecimal) of each client leaf, in the order in which TLS tries them."""
    leaves: tuple[str, ...]
    """And their subjects."""


@dataclass(frozen=True)
class Pull:
    """How a pull of manifest, config and layers went; `error` has the loader's, the registry's or TLS's words."""

    ok: bool
    error: str
    ms: float
    digest: str
    blobs: int


@dataclass(frozen=True)
class SpinError:
    error: str
    count: int
    round: int
    """The first round that said so."""
    at: float
    """When that was, as time.time() says it."""


@dataclass(frozen=True)
class SpinCount:
    """How many rounds a spin has done, how many of them failed, and the first ten different errors."""

    rounds: int
    failures: int
    errors: tuple[SpinError, ...]
    slowest_ms: float
    in_a_row: int
    """The most failures that one worker saw one after the other."""


class Loaders:
    """A running loaders program; a context manager. Requests may be made from several threads."""

    def __init__(self, run: Run | None = None, *, program: str = "loaders", system_roots: bool = True) -> None:
        self._program = binary(program)
        self._environment = marked_environment(run) if run else dict(os.environ)
        if not system_roots:  # Go's own variables (crypto/x509, root_unix.go)
            self._environment |= {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": "/nowhere"}
        self._ids = itertools.count(1)
        self._waiting: dict[int, Queue[dict[str, Any]]] = {}
        self._writing = threading.Lock()
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._child = subprocess.Popen(
            [*die_with_parent(), self._program, "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=self._environment,
            start_new_session=True,
        )
        self._receiver = threading.Thread(target=self._receive, args=(self._child,), daemon=True)
        self._receiver.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        self._child.stdin.close()  # its input ends: it stops what spins and ends
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait(10)
        self._receiver.join(10)
        if self._child.stdout is not None:
            self._child.stdout.close()

    def read(self, layout: Layout, root: Path, host: str) -> Read:
        """What the runtime's loader makes of root's directory for host[:port]."""
        return _read(self._ask(_read_request(layout, root, host)))

    def pull(self, layout: Layout, root: Path, image: str, *, dial: str = "", timeout: float = 30) -> Pull:
        """Pulls host[:port]/repository:tag with the TLS settings that the loader made, connecting to `dial`."""
        return _pull(self._ask(_pull_request(layout, root, image, dial, timeout), timeout + 30))

    def spin_read(
        self,
        layout: Layout,
        root: Path,
        host: str,
        *,
        workers: int = 1,
        pause: float = 0,
        expect: Expectation | None = None,
    ) -> "Spin":
        """Reads in a loop until stopped; `pause` seconds after each round."""
        request = _read_request(layout, root, host)
        return self._spin(request | ({"expect": asdict(expect)} if expect else {}), workers, pause)

    def spin_pull(
        self,
        layout: Layout,
        root: Path,
        image: str,
        *,
        dial: str = "",
        workers: int = 1,
        pause: float = 0,
        timeout: float = 30,
    ) -> "Spin":
        """Pulls in a loop until stopped."""
        return self._spin(_pull_request(layout, root, image, dial, timeout), workers, pause)

    def count(self, spin: int, *, stop: bool = False) -> SpinCount:
        answer = self._ask({"op": "stop" if stop else "count", "spin": spin}, 90)
        if not answer["ok"]:
            raise LoadersError(answer["error"])
        errors = tuple(SpinError(one["error"], one["count"], one["round"], one["atUnix"]) for one in answer["errors"])
        return SpinCount(answer["rounds"], answer["failures"], errors, answer["slowestMs"], answer["inARow"])

    def _spin(self, request: dict[str, Any], workers: int, pause: float) -> "Spin":
        answer = self._ask({"op": "spin", "request": request, "workers": workers, "pauseMs": round(pause * 1000)})
        if not answer["ok"]:
            raise LoadersError(answer["error"])
        return Spin(self, answer["id"])

    def _ask(self, request: dict[str, Any], timeout: float = 60) -> dict[str, Any]:
        assert self._child is not None, "used outside its with block"
        assert self._child.stdin is not None
        number = next(self._ids)
        mailbox: Queue[dict[str, Any]] = Queue(1)
        self._waiting[number] = mailbox
        with self._writing:
            self._child.stdin.write(json.dumps({"id": number, **request}) + "\n")
            self._child.stdin.flush()
        answer = mailbox.get(timeout=timeout)
        if "ended" in answer:
            message = "the loaders program ended"
            raise LoadersError(message)
        return answer

    def _receive(self, child: "subprocess.Popen[str]") -> None:
        assert child.stdout is not None
        for line in child.stdout:
            answer = json.loads(line)
            self._waiting.pop(answer["id"]).put(answer)
        for mailbox in list(self._waiting.values()):
            mailbox.put({"ended": True})


@dataclass(frozen=True)
class Spin:
    """A read or pull that goes on until stopped."""

    loaders: Loaders
    number: int

    def count(self) -> SpinCount:
        return self.loaders.count(self.number)

    def stop(self) -> SpinCount:
        """The final counts; the round that had begun is finished."""
        return self.loaders.count(self.number, stop=True)


def read(layout: Layout, root: Path, host: str) -> Read:
    """One read by a program of its own."""
    return _read(_once("read", f"--layout={layout}", f"--root={root}", host))


def pull(layout: Layout, root: Path, image: str, *, dial: str = "", enter: Sequence[str] = ()) -> Pull:
    """One pull by a program of its own, in the namespace that `enter` leads to."""
    return _pull(_once("pull", f"--layout={layout}", f"--root={root}", f"--dial={dial}", image, enter=enter))


def push(
    image: str,
    *,
    ca: Path,
    certificate: Path,
    key: Path,
    dial: str = "",
    enter: Sequence[str] = (),
    add: Sequence[str] = (),
    entrypoint: str = "",
    label: str = "",
    size: int = 0,
) -> str:
    """Fills an image that is generated here into a registry; returns the manifest's digest. `add`: IN_IMAGE=FILE.

    Raises LoadersError.
    """
    answer = _once(
        "push",
        f"--ca={ca}",
        f"--cert={certificate}",
        f"--key={key}",
        f"--dial={dial}",
        *_contents(add, entrypoint, label, size),
        image,
        enter=enter,
    )
    if not answer["ok"]:
        message = f"push of {image}: {answer['error']}"
        raise LoadersError(message)
    return str(answer["digest"])


def archive(
    out: Path, name: str, *, add: Sequence[str] = (), entrypoint: str = "", label: str = "", size: int = 0
) -> Path:
    """Writes a generated image as an OCI archive, which `ctr images import` loads under that name.

    Raises LoadersError.
    """
    answer = _once("archive", f"--out={out}", *_contents(add, entrypoint, label, size), name)
    if not answer["ok"]:
        raise LoadersError(answer["error"])
    return out


def _contents(add: Sequence[str], entrypoint: str, label: str, size: int) -> list[str]:
    return [*(f"--add={pair}" for pair in add), f"--entrypoint={entrypoint}", f"--label={label}", f"--size={size}"]


def _once(*arguments: str, enter: Sequence[str] = ()) -> dict[str, Any]:
    done = subprocess.run(
        [*enter, binary("loaders"), *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    if not done.stdout:
        message = f"loaders {arguments[0]}: {done.stderr.strip()}"
        raise LoadersError(message)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _read_request(layout: Layout, root: Path, host: str) -> dict[str, Any]:
    return {"op": "read", "layout": layout, "root": str(root), "host": host}


def _pull_request(layout: Layout, root: Path, image: str, dial: str, timeout: float) -> dict[str, Any]:
    return {
        "op": "pull",
        "layout": layout,
        "root": str(root),
        "reference": image,
        "dial": dial,
        "timeoutMs": round(timeout * 1000),
    }


def _read(answer: dict[str, Any]) -> Read:
    return Read(
        answer["ok"],
        answer["error"],
        answer["ms"],
        tuple(answer.get("caSubjects") or ()),
        tuple(answer.get("certificates") or ()),
        tuple(answer.get("leaves") or ()),
    )


def _pull(answer: dict[str, Any]) -> Pull:
    return Pull(answer["ok"], answer["error"], answer["ms"], answer.get("digest", ""), answer.get("blobs", 0))
