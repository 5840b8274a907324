"""`python -m tools.cluster up | down | status`: a cluster to play with, left running; as root."""

import argparse
import sys

from tools.cluster.cluster import MIXED, Cluster, what_is_missing
from tools.cluster.node_files import NodeOptions
from tools.cluster.runs import Run, all_runs, remove_left_overs


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start a cluster and leave it running")
    up.add_argument("--nodes", type=int, default=3, choices=range(1, 10), help="how many (default 3)")
    up.add_argument(
        "--mixed",
        action="store_true",
        help="the kinds of the end-to-end tests: single config_path, stock containerd, a root elsewhere and dockerd",
    )
    commands.add_parser("down", help="remove it, and what crashed runs have left")
    commands.add_parser("status", help="what runs now")
    chosen = parser.parse_args(arguments)
    if chosen.command == "status":
        return _status()
    if chosen.command == "down":
        return _down()
    if missing := what_is_missing():
        sys.stderr.write(f"{missing}\n")
        return 1
    options = [MIXED[number % len(MIXED)] if chosen.mixed else NodeOptions() for number in range(chosen.nodes)]
    return _up(options)


def _up(options: list[NodeOptions]) -> int:
    if running := [run for run in all_runs() if run.outlives]:
        sys.stdout.write("".join(f"already up: {_how_to_use(run)}" for run in running))
        return 0
    cluster = Cluster(options, outlives=True).__enter__()  # it is not left: `down` removes it
    sys.stdout.write(cluster.kubectl("get", "nodes", "-o", "wide"))
    sys.stdout.write(_how_to_use(cluster.run))
    return 0


def _down() -> int:
    removed = remove_left_overs()
    for run in all_runs():
        if run.outlives:
            run.destroy()
            removed.append(run.name)
    sys.stdout.write(f"removed: {', '.join(removed) or 'nothing was there'}\n")
    return 0


def _status() -> int:
    for run in all_runs():
        state = "up" if run.outlives else "left over" if run.is_left_over() else "belongs to a running test or demo"
        sys.stdout.write(f"{run.name}  {state}  {run.folder}\n")
    return 0


def _how_to_use(run: Run) -> str:
    return f"export KUBECONFIG={run.folder / 'control-plane' / 'admin.kubeconfig'}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
