"""Every block of commands in the documents: which test carries it out, or why none does.

A row names a page and how the block begins. tests/contract/test_page_blocks.py fails for a block without a row.
"""

from __future__ import annotations

SHOWN = "tests/integration/test_page_commands.py"
INSTALLED = "tests/integration/test_installation_page.py"
MIGRATED = "tests/integration/test_migration_pages.py"
ROLLED_OUT = "tests/integration/test_rollout.py"
OPENSSL = "tests/integration/test_printed_commands.py"

ASKED = "docs/why-is-my-pull-failing.md: openssl s_client -connect harbor.corp.example:5000"

CARRIED_OUT: dict[str, tuple[str, ...]] = {
    f"{INSTALLED}::test_helm_kustomize_and_kubectl_install_and_uninstall_as_the_pages_say": (
        "charts/registry-trust/README.md: kubectl create namespace registry-trust",
        "docs/install.md: kubectl create namespace registry-trust",
        "docs/install.md: helm uninstall registry-trust --namespace registry-trust",
        "docs/install.md: kubectl delete namespace registry-trust",
        "docs/install.md: kubectl kustomize my-directory",
        "docs/install.md: kubectl apply --server-side -f deploy/registry-trust.yaml",
        "docs/install.md: kubectl -n registry-trust get events",
        "docs/install.md: kubectl create configmap argocd-cm",
        "docs/install.md: kubectl delete registrytrusts --all",
        "docs/install.md: helm install registry-trust charts/registry-trust",
    ),
    f"{SHOWN}::test_what_the_pages_ask_the_api_server_is_answered_with_the_columns_that_they_show": (
        "README.md: $ kubectl get registrytrusts",
        "docs/reading-status.md: $ kubectl get registrytrusts",
        "docs/reading-status.md: $ kubectl get nodetrusts",
        "docs/reading-status.md: kubectl describe rt harbor",
        "docs/reading-status.md: kubectl wait --for=condition=Ready rt/harbor",
        "docs/rotation.md: kubectl get rt harbor -o jsonpath='{.status.revision}'",
        "docs/why-is-my-pull-failing.md: kubectl get rt -o wide",
    ),
    f"{ROLLED_OUT}::test_what_nobody_can_tell_goes_on_by_an_annotation": (
        "docs/rotation.md: kubectl annotate --overwrite rt harbor registrytrust.io/promote=",
    ),
    f"{SHOWN}::test_the_first_failing_node_of_a_trust_is_named_as_the_page_shows_it": (
        "docs/install.md: $ kubectl get rt harbor -o jsonpath='{range .status.failingNodes[*]}",
    ),
    f"{SHOWN}::test_the_startup_taint_is_removed_by_hand": ("docs/install.md: kubectl taint node worker-3",),
    f"{SHOWN}::test_a_client_pair_and_a_ca_rotate_by_the_commands_of_the_page": (
        "docs/rotation.md: kubectl -n registry-certificates create secret tls harbor-client",
        "docs/rotation.md: cat old-ca.crt new-ca.crt",
    ),
    f"{SHOWN}::test_docker_s_own_page_leads_to_a_pull_with_a_client_certificate": (
        "docs/docker-page.md: openssl genrsa -out client.key 4096",
        "docs/docker-page.md: kubectl -n registry-certificates create secret generic my-registry",
        "docs/docker-page.md: kubectl apply --server-side -f trust.yaml",
        "docs/docker-page.md: openssl req -x509 -newkey ec",
    ),
    f"{SHOWN}::test_the_command_of_an_example_replaces_its_source": (
        "examples/client-certificate.yaml: kubectl -n registry-certificates create secret tls harbor-client",
        "examples/docker-hub-behind-a-proxy.yaml: kubectl -n registry-certificates create configmap proxy-ca",
        "examples/host-without-port.yaml: kubectl -n registry-certificates create secret generic my-https-registry",
        "examples/private-registry-ca.yaml: kubectl -n registry-certificates create configmap harbor-ca",
    ),
    f"{MIGRATED}::test_from_a_directory_made_by_hand": (
        "docs/migrate/certs-d.md: registry-trust import --node-root node /etc/docker/certs.d",
        "docs/migrate/certs-d.md: registry-trust render trusts",
    ),
    f"{MIGRATED}::test_from_hosts_toml_of_containerd": (
        "docs/migrate/containerd-hosts.md: registry-trust import",
        "docs/migrate/containerd-hosts.md: registry-trust render trusts",
    ),
    f"{MIGRATED}::test_from_registries_yaml_of_k3s": (
        "docs/migrate/k3s-rke2.md: registry-trust import",
        "docs/migrate/k3s-rke2.md: kubectl apply --server-side -f trusts",
    ),
    f"{MIGRATED}::test_from_the_config_map_of_openshift": (
        "docs/migrate/openshift.md: kubectl get configmap registry-cas",
        "docs/migrate/openshift.md: registry-trust render trusts.yaml",
    ),
    "tests/integration/test_import.py::test_at_a_terminal_the_fingerprint_is_confirmed_by_a_plain_yes": (
        "docs/migrate/certs-d.md: registry-trust import --from-registry",
    ),
    f"{OPENSSL}::test_what_a_page_tells_to_ask_a_registry_is_answered": (
        f"{ASKED} -servername",
        f"{ASKED} </dev/null 2>/dev/null | openssl",
        f"{ASKED} </dev/null 2>/dev/null | sed",
    ),
    f"{OPENSSL}::test_a_certificate_made_by_the_command_of_the_message_is_what_go_verifies": (
        "docs/why-is-my-pull-failing.md: openssl req -x509",
    ),
    "tests/e2e/test_migration.py::test_from_a_daemon_set_that_copies_files_without_a_failing_pull": (
        "docs/migrate/daemonset.md: registry-trust import",
        "docs/migrate/daemonset.md: kubectl apply --server-side -f trusts",
        "docs/migrate/daemonset.md: kubectl delete daemonset registry-certificates",
    ),
    "tests/e2e/test_doctor.py::test_in_the_agents_container_the_commands_of_the_pages_explain_the_node": (
        "docs/why-is-my-pull-failing.md: kubectl -n registry-trust get pods -o wide",
        "docs/commands.md: kubectl -n registry-trust exec POD",
    ),
    "tests/e2e/test_agents.py::test_the_page_s_commands_verify_an_installation_on_real_nodes": (
        "docs/install.md: kubectl -n registry-trust rollout status daemonset/registry-trust-agent",
    ),
    "tests/e2e/test_upgrade.py::test_an_uninstallation_that_removes_files_leaves_none_on_any_node": (
        "docs/install.md: helm upgrade registry-trust charts/registry-trust",
    ),
}
"""The blocks of each test. The test takes them from here, so a row can't name a test that does not run them."""

PUBLIC_BASE = (
    "the image's base comes from a public registry; end-to-end tests build the same Dockerfile on one of Debian's"
)

NOT_HERE: dict[str, str] = {
    "README.md: make demo": "it takes a minute, and its parts are tested one by one; `make test` is how they run",
    "README.md: make image": f"{PUBLIC_BASE}; there is no kind here",
    "CONTRIBUTING.md: make ": "they are how these tests are started",
    "docs/install.md: make image": PUBLIC_BASE,
    "docs/install.md: make release": "tests/e2e/test_release.py pushes a release by the module that make calls",
    "docs/install.md: cosign verify": "tests/e2e/test_release.py verifies so, with the registry's CA as well",
    "docs/install.md: pipx install": "there is no pipx; tests/integration/test_wheel.py installs the wheel with pip",
}
