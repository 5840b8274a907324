"""Two processes and one Lease: the first is cut off or stopped, and every write of both is looked at afterwards."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from registry_trust.controller.leadership import LOST
from tools.cluster.control_plane import ControlPlane
from tools.cluster.kubeconfig import write_kubeconfig
from tools.cluster.processes import Process, start
from tools.cluster.waiting import wait_until
from tools.trials.interrupted_network import Proxy, proxy_to

PROGRAM = Path(__file__).with_name("leading_process.py")
SOURCES = Path(__file__).resolve().parents[2] / "operator"
NAMESPACE = "default"


class Interruption(Enum):
    """What happens to the leader."""

    HANG = "the connection hangs"
    STOP = "the process is stopped and goes on"


@dataclass(frozen=True, eq=False)
class Duel:
    """A leader behind a proxy and a standby with a connection of its own."""

    lease: str
    leader: Process
    standby: Process
    proxy: Proxy


def duels(plane: ControlPlane, interruptions: Mapping[str, Interruption]) -> list[str]:
    """Fight one duel for each name at the same time; return what went wrong, a sentence for each."""
    with ExitStack() as stack:
        running = {_start(plane, name, stack): interruption for name, interruption in interruptions.items()}
        for duel, interruption in running.items():
            if interruption is Interruption.HANG:
                duel.proxy.hanging.set()
            else:
                duel.leader.child.send_signal(signal.SIGSTOP)
        return [f"{duel.lease}: {fault}" for duel, how in running.items() if (fault := _judge(plane, duel, how))]


def _start(plane: ControlPlane, lease: str, stack: ExitStack) -> Duel:
    proxy = stack.enter_context(proxy_to(plane.port))
    admin = plane.authority.client(f"admin-{lease}", ["system:masters"])
    through = write_kubeconfig(
        plane.folder / f"{lease}.kubeconfig", f"https://127.0.0.1:{proxy.port}", plane.authority.pem, admin
    )
    leader = _process(plane, lease, "leader", through, stack)
    wait_until(lambda: _writes(plane, lease, "leader"), "the leader writes", within=60, meanwhile=leader.check)
    standby = _process(plane, lease, "standby", plane.admin_kubeconfig, stack)
    wait_until(lambda: "lease not" in _log(standby) or "standing by" in _log(standby), "it stands by", within=60)
    return Duel(lease, leader, standby, proxy)


def _process(plane: ControlPlane, lease: str, identity: str, kubeconfig: Path, stack: ExitStack) -> Process:
    command: list[str | Path] = [sys.executable, PROGRAM, kubeconfig, NAMESPACE, lease, identity]
    process = start(plane.run, f"{lease}-{identity}", command, environment={"PYTHONPATH": str(SOURCES)})
    stack.callback(process.kill)
    return process


def _log(process: Process) -> str:
    return process.log.read_text(errors="replace")


def _writes(plane: ControlPlane, lease: str, writer: str = "") -> list[dict[str, Any]]:
    selector = f"lease={lease}" + (f",writer={writer}" if writer else "")
    items: list[dict[str, Any]] = plane.kubectl.get("configmaps", "-n", NAMESPACE, "-l", selector)["items"]
    return items


def _judge(plane: ControlPlane, duel: Duel, interruption: Interruption) -> str:
    """Return what is wrong: the leader lives on beside the next one, or writes something after its first write."""
    wait_until(lambda: _writes(plane, duel.lease, "standby"), "the standby writes", within=60)
    if interruption is Interruption.HANG and duel.leader.child.poll() is None:
        return "the old leader still runs while the new one writes"
    if interruption is Interruption.STOP:
        duel.leader.child.send_signal(signal.SIGCONT)
    wait_until(lambda: duel.leader.child.poll() is not None, "the old leader ends", within=30)
    if duel.leader.child.returncode != LOST:
        return f"the old leader ended with {duel.leader.child.returncode}"
    written = sorted(_writes(plane, duel.lease), key=lambda body: int(body["metadata"]["resourceVersion"]))
    writers = [body["metadata"]["labels"]["writer"] for body in written]
    overlap = len(writers) - writers.index("standby") - writers.count("standby")
    return f"{overlap} writes of the old leader came after the first one of the new" if overlap else ""
