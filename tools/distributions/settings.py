"""Settings: the chart's values for a distribution, as the page gives them; the tests install with nothing else."""

from __future__ import annotations

_RANCHER = """\
agent:
  roots: [/var/lib/rancher/{name}/agent/etc/containerd/certs.d]
  runtimeConfig: [/var/lib/rancher/{name}/agent/etc/containerd]
"""

SETTINGS = {
    "": "",
    "k3s": _RANCHER.format(name="k3s"),
    "RKE2": _RANCHER.format(name="rke2"),
    "MicroK8s": """\
agent:
  roots: [/var/snap/microk8s/current/args/certs.d]
  targets: [{layout: containerd, path: /var/snap/microk8s/current/args/certs.d}]
  runtimeConfig: []       # it names the directory of the snap's revision, which a refresh changes; so it is named above
""",
    "k0s": """\
agent:
  extraRuntimeConfig: [/etc/k0s, /run/k0s]      # /run/k0s: up to 1.35
""",
    "Flatcar": """\
agent:
  containerdConfig: [/usr/share/containerd/config.toml]
  extraRuntimeConfig: [/usr/share/containerd]
""",
    "GKE": """\
agent:
  extraRoots: [/etc/containerd/hosts.d]
""",
    "OpenShift": """\
agent:
  seLinuxOptions: {type: spc_t}
openshift: {bindSCCs: true}
""",
}
"""YAML by the name of the distribution; the empty name has none."""
