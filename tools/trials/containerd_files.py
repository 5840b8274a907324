"""Sets of containerd's configuration files, drawn from what people and tools write; the same number, the same set."""

from __future__ import annotations

import random

SHORT, OLD, NEW = "cri", '"io.containerd.grpc.v1.cri"', '"io.containerd.cri.v1.images"'
PATHS = ("/etc/containerd/certs.d", "", "/a:/b", "/a/", ":", "/a:", "//a", "/etc/docker/certs.d")
IMPORTS = (
    "conf.d/*.toml",
    "HERE/conf.d/*.toml",
    "conf.d/a.toml",
    "./conf.d/../conf.d/b.toml",
    "*/b.toml",
    "link/?.toml",
)
NAMES = ("conf.d/a.toml", "conf.d/b.toml", "conf.d/.hidden.toml", "conf-d/b.toml", "conf.d/note.txt")


def draw(number: int) -> dict[str, str]:
    """Return texts by file name; HERE stands for the folder. `link` is to be a link to `conf.d`."""
    chance = random.Random(number)  # noqa: S311 (no secret)
    usual = chance.choice(("", "1", "2", "2", "2", "3", "3", "4"))
    files = {"config.toml": _file(chance, usual, main=True)}
    for name in chance.sample(NAMES, chance.choice((0, 1, 1, 2, 3))):
        files[name] = _file(chance, chance.choice((usual, usual, usual, usual, "", "2", "3", "4", "1")), main=False)
    for name in ("conf.d/a.toml", "conf.d/b.toml"):
        if name not in files and chance.random() < 0.85:
            files[name] = f"version = {usual}\n" if usual else ""
    return files


def _file(chance: random.Random, version: str, *, main: bool) -> str:
    lines = [f"version = {version}"] if version else []
    if chance.random() < (0.8 if main else 0.1):
        patterns = chance.sample(IMPORTS, chance.choice((1, 1, 2)))
        lines.append(f"imports = [{', '.join(repr(each) for each in patterns)}]")
    if chance.random() < 0.02:
        name = chance.choice(("cri", "io.containerd.grpc.v1.cri", "aufs", "io.containerd.snapshotter.v1.aufs"))
        lines.append(f"disabled_plugins = ['{name}']")
    fitting = {"": SHORT, "1": SHORT, "2": OLD}.get(version, NEW)
    for plugin in dict.fromkeys(chance.choice((fitting, fitting, fitting, SHORT, OLD, NEW)) for _ in range(2)):
        if chance.random() < (0.85 if main else 0.6):
            lines += _section(chance, plugin)
    return "\n".join(lines) + "\n"


def _section(chance: random.Random, plugin: str) -> list[str]:  # noqa: C901 (a list of chances)
    at = f"plugins.{plugin}"
    lines = []
    if chance.random() < 0.3:
        lines += [f"[{at}]", chance.choice(("max_concurrent_downloads = 4", "max_concurrent_downloads = 3"))]
        if chance.random() < 0.3:
            lines.append(f"registry.config_path = '{chance.choice(PATHS)}'")
            return lines
    if chance.random() < 0.25:
        lines += [
            f"[{at}.containerd]",
            chance.choice(("discard_unpacked_layers = true", "disable_snapshot_annotations = false")),
        ]
    if chance.random() < 0.25:
        kinds = chance.choice((("gpu",), ("runc", "gpu"), ("runc", "gpu")))
        for each in kinds:
            lines += [f"[{at}.containerd.runtimes.{each}]", "runtime_type = 'io.containerd.runc.v2'"]
    if chance.random() < 0.6:
        lines += [f"[{at}.registry]"]
        if chance.random() < 0.8:
            lines.append(f"config_path = '{chance.choice(PATHS)}'")
    if chance.random() < 0.12:
        lines += [f"[{at}.registry.mirrors.'docker.io']", "endpoint = ['https://mirror.example']"]
    if chance.random() < 0.04:
        lines += [f"[{at}.registry.mirrors]"] if not any(".mirrors" in each for each in lines) else []
    if chance.random() < 0.12:
        kind = chance.choice(("tls", "auth"))
        setting = "ca_file = '/ca.crt'" if kind == "tls" else "username = 'u'"
        lines += [f"[{at}.registry.configs.'h.example'.{kind}]", setting]
    return lines
