"""Commands of the pages that ask an API server: run as they are written, next to a real operator and agents."""

from __future__ import annotations

import re
import shutil
from functools import partial
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from registry_trust.core.layout import Layout
from tests.page_commands import FENCE, ROOT, every_block, own_blocks, run_block
from tools.authority import Authority, write_file
from tools.cluster import loaders
from tools.cluster.registry import Registry
from tools.cluster.waiting import wait_until
from tools.installation import TRUST_NAMESPACE, Agent, Installation, secret
from tools.pki import Issued

pytestmark = pytest.mark.tools("loaders", "registry")

REGISTRY = "harbor.corp.example:5000"
OLD, NEW = Authority.create("the old CA"), Authority.create("the new CA")
EXAMPLES = [block.page for block in every_block() if block.page.startswith("examples/")]


@pytest.fixture(scope="module")
def agent(installation: Installation) -> Agent:
    installation.add_node("worker-1")
    installation.add_node("worker-3")
    installation.start_agent("worker-3")
    return installation.start_agent("worker-1")


@pytest.fixture
def run(installation: Installation, tmp_path: Path):
    """Run commands in a directory with the repository's examples, and delete the trusts and sources of the test."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    yield partial(run_block, directory=tmp_path, kubeconfig=installation.plane.admin_kubeconfig)
    installation.plane.kubectl("delete", "registrytrusts", "--all")
    installation.plane.kubectl("delete", "secrets,configmaps", "--all", "-n", TRUST_NAMESPACE)


def has(agent: Agent, registry: str, content: bytes) -> bool:
    """Say whether a file of a registry has this content, perhaps next to a CA that is retained."""
    return any(content in path.read_bytes() for path in (agent.root() / registry).glob("*"))


def trusted(agent: Agent, registry: str = REGISTRY) -> set[str]:
    """Return the subjects of the CA certificates that a runtime reads for a registry."""
    return set(loaders.read(Layout.DOCKER, agent.root(), registry).ca_subjects)


def test_what_the_pages_ask_the_api_server_is_answered_with_the_columns_that_they_show(
    request, agent, installation, run
):
    installation.secret("harbor-ca", {"ca.crt": OLD.pem})
    installation.trust(
        "harbor",
        registries=[REGISTRY],
        caCertificates=[{"secretKeyRef": {"name": "harbor-ca", "key": "ca.crt"}}],
    )
    installation.wait_for("harbor", "Ready")

    for block in own_blocks(request):
        printed = run(block.commands.replace("NODE", "worker-3"))

        if block.language == "console":
            assert printed.splitlines()[0].split() == block.shown[0].split()


def test_the_first_failing_node_of_a_trust_is_named_as_the_page_shows_it(request, agent, installation, run):
    registry = "foreign.example:5000"
    foreign = agent.root() / registry
    foreign.mkdir()
    (foreign / "ca.crt").write_bytes(OLD.pem)
    installation.trust("harbor", registries=[registry], caCertificates=[{"inline": OLD.pem.decode()}])
    (block,) = own_blocks(request)
    try:
        installation.wait_for("harbor", "Ready", "False")
        wait_until(lambda: installation.status("harbor").get("failingNodes"), "the node is named")
        printed = run(block.commands)
    finally:
        shutil.rmtree(foreign)

    (shown,) = block.shown
    shown = shown.replace("/etc/docker/certs.d", str(agent.root())).replace(REGISTRY, registry)
    assert printed.startswith(shown.removesuffix("…"))


def test_the_startup_taint_is_removed_by_hand(request, agent, installation, run):
    installation.plane.kubectl("taint", "node", "worker-3", "registrytrust.io/not-ready=:NoSchedule")

    (block,) = own_blocks(request)
    run(block.commands)

    taints = installation.plane.kubectl.get("node", "worker-3")["spec"].get("taints", [])
    assert "registrytrust.io/not-ready" not in [taint["key"] for taint in taints]


def test_a_client_pair_and_a_ca_rotate_by_the_commands_of_the_page(request, agent, installation, run, tmp_path):
    for_clients, for_cas = (block.commands for block in own_blocks(request))
    (tmp_path / "old-ca.crt").write_bytes(OLD.pem)
    (tmp_path / "new-ca.crt").write_bytes(NEW.pem)
    pairs = [OLD.client("node"), OLD.client("node")]
    installation.trust(
        "harbor",
        registries=[REGISTRY],
        caCertificates=[{"secretKeyRef": {"name": "harbor-ca", "key": "ca.crt"}}],
        clientCertificates=[{"name": "client", "secretRef": {"name": "harbor-client"}}],
    )
    only_old = for_cas.replace("cat old-ca.crt new-ca.crt", "cat old-ca.crt")
    for pair, commands in zip(pairs, (only_old, for_cas), strict=True):
        pair.write(tmp_path, "client")
        run(for_clients)
        run(commands)
        wait_until(partial(has, agent, REGISTRY, pair.certificate), "the pair is on the node")

    wait_until(lambda: trusted(agent) >= {"CN=the old CA", "CN=the new CA"}, "both CAs are on the node")
    run(for_cas.replace("cat old-ca.crt new-ca.crt", "cat new-ca.crt"))
    wait_until(lambda: "CN=the old CA" not in trusted(agent), "the old CA goes at once")
    assert "CN=the new CA" in trusted(agent)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_command_of_an_example_replaces_its_source(request, agent, installation, run, tmp_path, example):
    authority = Authority.create(f"the CA for {example}")
    pair = authority.client("node")
    for name, data in (("ca.crt", authority.pem), ("client.cert", pair.certificate), ("client.key", pair.key)):
        write_file(tmp_path / name, data)
    bodies = [body for body in yaml.safe_load_all((ROOT / example).read_text()) if body]
    (trust,) = (body for body in bodies if body["kind"] == "RegistryTrust")

    for block in own_blocks(request):
        if block.page == example:
            run(block.commands)
    created = run(f"kubectl get secrets,configmaps -n {TRUST_NAMESPACE} -o name").split()
    installation.plane.kubectl.apply(
        *(body for body in bodies if f"{body['kind'].lower()}/{body['metadata']['name']}" not in created)
    )

    own = pair.certificate if example == "examples/client-certificate.yaml" else authority.pem
    wait_until(partial(has, agent, trust["spec"]["registries"][0], own), "what the command read is on the node")


def trust_of_the_page(registry: str) -> str:
    """Return the manifest on the page about Docker's own, for another registry."""
    page = (ROOT / "docs" / "docker-page.md").read_text()
    (manifest,) = (text for _, language, text in FENCE.findall(page) if language == "yaml")
    return manifest.replace("localhost:5000", registry)


def made(directory: Path, name: str) -> Authority:
    """Return what openssl has made, as one that issues client certificates."""
    key = load_pem_private_key((directory / name).with_suffix(".key").read_bytes(), None)
    return Authority(Issued(x509.load_pem_x509_certificate((directory / name).read_bytes()), key))


def test_docker_s_own_page_leads_to_a_pull_with_a_client_certificate(request, agent, installation, run, tmp_path):
    create, into_cluster, apply, create_with_ca = (block.commands for block in own_blocks(request))
    with Registry(installation.plane.run, "my-registry.test") as registry:
        image = registry.push()
        (tmp_path / "ca.crt").write_bytes(registry.authority.pem)
        (tmp_path / "trust.yaml").write_text(trust_of_the_page(registry.name))

        def refusal() -> str:
            return loaders.pull(Layout.DOCKER, agent.root(), image, dial=registry.dial).error

        run(create, typed="\n" * 7)
        assert (tmp_path / "client.cert").read_text().startswith("Certificate:\n"), "a description of it, then PEM"
        run(into_cluster)
        run(apply)
        assert "Certificate:" not in (agent.root() / registry.name / "client.cert").read_text()
        assert "KeyUsage" in installation.condition("my-registry", "Accepted")["message"]
        assert "tls: " in refusal(), "the registry does not know the certificate yet"
        registry.rotate(client_authorities=[made(tmp_path, "client.cert")])
        assert refusal() == ""

        run(create_with_ca)
        registry.rotate(client_authorities=[made(tmp_path, "client-ca.crt")])
        run(into_cluster)
        wait_until(partial(has, agent, registry.name, (tmp_path / "client.cert").read_bytes()), "the new pair is there")
        assert refusal() == ""
        wait_until(
            lambda: "KeyUsage" not in installation.condition("my-registry", "Accepted")["message"],
            "nothing is warned of",
        )


def test_the_registry_of_docker_s_page_gets_the_warnings_that_ours_explains(tmp_path):
    authority = Authority.create("self-signed", key_usage=False)
    sources = {"ca.crt": authority.pem, "client.cert": authority.pem, "client.key": authority.pair.key}
    (tmp_path / "trust.yaml").write_text(trust_of_the_page("localhost:5000"))
    (tmp_path / "secret.yaml").write_text(yaml.safe_dump(secret("my-registry", sources)))

    printed = run_block("registry-trust lint trust.yaml secret.yaml", tmp_path)

    explained = re.findall(r"^\| \[(\w+)\]", (ROOT / "docs" / "docker-page.md").read_text(), re.MULTILINE)
    assert sorted(re.findall(r": warning: [^:]+: (\w+): ", printed)) == sorted(explained)
