"""Options that several commands have, and the reading of their values; a wrong one ends with exit code 2."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import click

LAYOUTS = ("docker", "containers", "containerd")
_LABEL_KEY = re.compile(r"(?:[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")

Command = TypeVar("Command", bound=Callable[..., Any])


def takes_files(command: Command) -> Command:
    """Give a command the arguments and options by which manifests are named."""
    for add in reversed(
        (
            click.argument("files", nargs=-1, metavar="[FILES]..."),
            click.option(
                "-f",
                "--filename",
                "filenames",
                multiple=True,
                metavar="FILE",
                help="A file or directory of manifests, or - for standard input; the same as FILES. Repeatable.",
            ),
            click.option(
                "-n",
                "--namespace",
                "--trust-namespace",
                "namespace",
                default="registry-certificates",
                show_default=True,
                help="The trust namespace: Secrets and ConfigMaps of other namespaces are not read.",
            ),
        )
    ):
        command = add(command)
    return command


def takes_manifests(command: Command) -> Command:
    """Give a command what names manifests, and the labels of the node that they are for."""
    return takes_files(
        click.option(
            "-l",
            "--label",
            "--labels",
            "labels",
            multiple=True,
            metavar="KEY=VALUE[,...]",
            help="Labels of the node, for nodeSelector. Repeatable.",
        )(command)
    )


def takes_wait(default: int, help_text: str) -> Callable[[Command], Command]:
    """Give a command the option of how many seconds it waits at most."""
    return click.option(
        "--wait",
        "wait_seconds",
        type=click.IntRange(min=0),
        default=default,
        show_default=True,
        metavar="SECONDS",
        help=help_text,
    )


takes_kubeconfig = click.option(
    "--kubeconfig",
    default="",
    envvar="KUBECONFIG",
    show_envvar=True,
    metavar="FILE",
    help="Kubeconfig file.  [default: in a pod its service account, else ~/.kube/config]",
)


def files_of(files: tuple[str, ...], filenames: tuple[str, ...]) -> tuple[str, ...]:
    """Return every file that was named, as an argument or by `-f`; at least one must be."""
    if not files and not filenames:
        raise click.UsageError("name files or directories of manifests (or - for standard input)")
    return (*files, *filenames)


def labels_of(texts: tuple[str, ...]) -> dict[str, str]:
    """Return the labels in `KEY=VALUE[,KEY=VALUE]` texts."""
    labels: dict[str, str] = {}
    for text in ",".join(texts).split(",") if texts else ():
        key, equals, value = text.partition("=")
        if not equals or not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
            raise click.BadParameter(f"{text!r} is not KEY=VALUE of a node's label", param_hint="--label")
        if labels.setdefault(key, value) != value:
            raise click.BadParameter(f"{key!r} is given twice, with different values", param_hint="--label")
    return labels


def duration(text: str, option: str) -> timedelta:
    """Return a duration such as 720h."""
    from registry_trust.core.duration import parse_duration

    try:
        return timedelta(seconds=parse_duration(text))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a duration, such as 720h or 90m", param_hint=option) from None


def byte_count(text: str, option: str) -> int:
    """Return the bytes in a text such as 320Ki or 327680; at least one."""
    found = re.fullmatch(r"([1-9][0-9]{0,8})(Ki)?", text)
    if found is None:
        raise click.BadParameter(f"{text!r} is not a number of bytes, such as 320Ki", param_hint=option)
    return int(found[1]) * (1024 if found[2] else 1)


def sha256(text: str, option: str) -> str:
    """Return the 64 hex digits of `sha256:HEX`, in lower case; openssl writes capitals and colons."""
    digits = re.sub(r"^sha256[:=]", "", text.strip().lower()).replace(":", "")
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise click.BadParameter(f"{text!r} is not sha256: and 64 hex digits", param_hint=option)
    return digits


def address(text: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise click.BadParameter(f"{text!r} is not HOST:PORT", param_hint="--listen")
    return host.strip("[]"), int(port)
