"""The runtimes' loaders, old and new: each reads what the store writes, and refuses what this project says it does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from registry_trust.core.layout import ClientPair, Layout, entry_name
from registry_trust.core.layout import Layout as Written
from tools import pki
from tools.cluster.loaders import GENERATIONS, Loaders
from tools.pki import client, root
from tools.trials.roots import NOTHING, REGISTRY, Root, wanted

pytestmark = pytest.mark.tools("oracle")

READERS = [(program, layout) for program, layouts in GENERATIONS.items() for layout in layouts]
PAIR = ClientPair("client", client().pem, pki.pkcs8(client().key))
LEAF = hashlib.sha256(client().der).hexdigest()

Folder = dict[str, bytes]


@pytest.fixture(scope="module")
def programs() -> Iterator[dict[str, Loaders]]:
    with ExitStack() as stack:
        yield {program: stack.enter_context(Loaders(program=program)) for program in GENERATIONS}


@pytest.fixture(params=READERS, ids=lambda reader: f"{reader[0]} {reader[1]}")
def reader(request, programs, tmp_path):
    program, layout = request.param
    return lambda: programs[program].read(layout, tmp_path / "certs.d", REGISTRY), Written(layout.value)


def test_every_loader_reads_what_the_store_writes_and_nothing_once_it_is_removed(reader, tmp_path):
    read, layout = reader
    store = Root(tmp_path / "certs.d", layout)

    store.bring_well(wanted(root().pem, root(1).pem))
    found = read()
    assert (found.error, found.ca_subjects, found.certificates) == ("", ("CN=Corp Root 0", "CN=Corp Root 1"), ())

    store.bring_well(wanted(root().pem, pairs=(PAIR,)))
    found = read()
    assert (found.error, found.ca_subjects, found.certificates) == ("", ("CN=Corp Root 0",), (LEAF,))

    store.bring_well(wanted(pairs=(PAIR, ClientPair("other", client(1).pem, pki.pkcs8(client(1).key)))))
    found = read()
    assert (found.error, found.ca_subjects, found.leaves) == ("", (), ("CN=node 0", "CN=node 1"))

    store.bring_well(NOTHING)
    found = read()
    assert (found.error, found.ca_subjects, found.certificates) == ("", (), ())


BAD_PAIR = {"client.cert": PAIR.certificate, "client.key": pki.pkcs8(client(1).key)}

FAULTS = [
    pytest.param({"ca.crt": b"no certificate"}, {Layout.CONTAINERD}, "unable to load CA cert", id="rubbish in ca.crt"),
    pytest.param({"ca.crt": b""}, {Layout.CONTAINERD}, "unable to load CA cert", id="an empty ca.crt"),
    pytest.param({"client.cert": PAIR.certificate}, set(Layout), "key", id="a certificate without its key"),
    pytest.param(
        {"client.key": PAIR.key}, {Layout.DOCKER, Layout.CONTAINERS}, "client.cert", id="a key without its certificate"
    ),
    pytest.param(BAD_PAIR, set(Layout), "private key does not match public key", id="a key of another certificate"),
]
"""Files, the layouts whose loaders refuse them, and a part of their words."""


@pytest.mark.parametrize(("files", "refused_by", "words"), FAULTS)
def test_a_fault_is_refused_or_passed_over_by_every_generation_alike(reader, tmp_path, files, refused_by, words):
    read, layout = reader
    folder = tmp_path / "certs.d" / entry_name(Written(layout.value), REGISTRY)
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)

    found = read()

    assert found.ok is (Layout(layout.value) not in refused_by)
    assert (words in found.error) is not found.ok
    assert (found.ca_subjects, found.certificates) == ((), ())


def test_a_root_that_is_not_there_is_an_error_of_every_program(reader):
    read, _ = reader

    assert "proves nothing" in read().error
