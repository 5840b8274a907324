"""The fix: what to write into which of containerd's files so that it reads a root, tried here before it is printed.

The tests carry each one out on a started containerd 1.6.36, 1.7.35, 2.0.14, 2.1.9, 2.2.9, 2.3.4 or 2.4.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from registry_trust.agent.runtime.configuration_files import UnreadableConfiguration
from registry_trust.agent.runtime.containerd.configuration import (
    NEW_PLUGIN,
    OLD_PLUGIN,
    SHORT_PLUGIN,
    ContainerdConfiguration,
    effective_path,
    interpret,
)
from registry_trust.agent.runtime.containerd.files import ConfigurationFile, parse
from registry_trust.agent.runtime.node import Version

RESTART = "systemctl restart containerd"

GENERATED = {
    "/var/lib/rancher/k3s/": "k3s writes {path} at each start, with config_path since its releases of January 2024: "
    "update k3s, or set config_path in config.toml.tmpl or config-v3.toml.tmpl beside it, if you have one of those; "
    "then once: systemctl restart k3s (k3s-agent on agents)",
    "/var/lib/rancher/rke2/": "RKE2 writes {path} at each start, with config_path since its releases of January 2024: "
    "update RKE2, or set config_path in config.toml.tmpl or config-v3.toml.tmpl beside it, if you have one of those; "
    "then once: systemctl restart rke2-server (rke2-agent on agents)",
    "/etc/k0s/": "k0s writes {path}: set config_path in a file of /etc/k0s/containerd.d, in the format that your k0s "
    "documents for it; k0s restarts containerd by itself",
    "/var/snap/microk8s/": "MicroK8s writes {path} at each start: set config_path in containerd-template.toml beside "
    "it, then once: snap restart microk8s.daemon-containerd",
    "/etc/containerd/config-kops.toml": "kOps writes {path} from the cluster's specification: set config_path there "
    "(spec.containerd), then kops update cluster and kops rolling-update cluster",
}
"""Main files that a distribution writes itself, by how their paths begin, and what to do there."""


def fix(configuration: ContainerdConfiguration, version: Version, root: str) -> str:
    """Return what makes containerd read `root`, with the file that decides and the one restart; empty if none is known.

    Only what was tried with this module's own reading of the files is returned: all of them with that change come to
    `root`, and the CRI plugin loads.
    """
    for beginning, words in GENERATED.items():
        if configuration.path.startswith(beginning):
            return words.format(path=configuration.path)
    for file, plugin in _places(configuration, version):
        quote = "" if plugin == SHORT_PLUGIN else '"'
        table = f"[plugins.{quote}{plugin}{quote}.registry]"
        line = f'  config_path = "{root}"'
        head = "" if file.text or configuration.present else f"version = {file.version}\n"
        appended = f"{head}{table}\n{line}\n"
        newline = "" if file.text.endswith("\n") or not file.text else "\n"
        if _reads(configuration, version, root, file, f"{file.text}{newline}{appended}"):
            return f"{appended}at the end of {file.path}, then once: {RESTART}"
        if _reads(configuration, version, root, file, _set_in_table(file.text, plugin, line)):
            return f"{line.strip()}\nin the table {table} of {file.path}, then once: {RESTART}"
    return ""


def _places(configuration: ContainerdConfiguration, version: Version) -> Iterator[tuple[ConfigurationFile, str]]:
    """Yield where a line may go: the main file first, then what is read last."""
    files = configuration.files
    if not files:
        newest = version >= (2, 0, 0)
        absent = ConfigurationFile(configuration.path, "", 3 if newest else 2, {})
        yield absent, NEW_PLUGIN if newest else OLD_PLUGIN
        return
    for file in (files[0], *reversed(files[1:])):
        names = (NEW_PLUGIN, OLD_PLUGIN) if file.version > 2 else (OLD_PLUGIN, NEW_PLUGIN)
        for plugin in (SHORT_PLUGIN, *names) if file.version < 2 else names:
            yield file, plugin


def _reads(
    configuration: ContainerdConfiguration, version: Version, root: str, file: ConfigurationFile, text: str
) -> bool:
    try:
        changed = parse(file.path, text)
        others = [changed if each.path == file.path else each for each in configuration.files] or [changed]
        found = interpret(configuration.path, tuple(_without_what_refuses(each) for each in others), version)
    except UnreadableConfiguration:
        return False
    return effective_path(found, version) == root and not found.refusal()


def _without_what_refuses(file: ConfigurationFile) -> ConfigurationFile:
    """Take away what the message asks to be removed first: mirrors, and TLS settings of single registries."""
    plugins = dict(file.plugins)
    for name in {SHORT_PLUGIN, OLD_PLUGIN, NEW_PLUGIN} & plugins.keys():
        registry = {key: value for key, value in plugins[name].get("registry", {}).items() if key != "mirrors"}
        configs = registry.get("configs", {})
        if configs:
            registry["configs"] = {
                host: {key: value for key, value in each.items() if key != "tls"} for host, each in configs.items()
            }
        plugins[name] = plugins[name] | ({"registry": registry} if registry else {})
        if not registry:
            plugins[name] = {key: value for key, value in plugins[name].items() if key != "registry"}
    return replace(file, plugins=plugins)


def _set_in_table(text: str, plugin: str, line: str) -> str:
    """Return the text with the line in that table, instead of the `config_path` that is there."""
    header = re.compile(rf"""^\s*\[\s*plugins\s*\.\s*["']?{re.escape(plugin)}["']?\s*\.\s*registry\s*\]\s*(#.*)?$""")
    result, inside = [], False
    for each in text.splitlines():
        if each.lstrip().startswith("["):
            inside = bool(header.match(each))
            result += [each, line] if inside else [each]
        elif not (inside and re.match(r"\s*config_path\s*=", each)):
            result.append(each)
    return "\n".join(result) + "\n"
