"""Carrying: what the plan does with a `_default` of others: takes it along, follows it, or keeps what it has."""

from __future__ import annotations

import pytest

from registry_trust.core.carried import Carried, Host, NotCarried
from registry_trust.core.carrying import registry_of
from registry_trust.core.desired import Desired, DesiredRegistry
from registry_trust.core.hosts_toml import parse
from registry_trust.core.layout import ClientPair, Layout, Material, Reader, entry_name
from registry_trust.core.observed import ForeignEntry, ObservedRoot, OwnEntry, Target
from registry_trust.core.plan import Plan, Switch, make_plan
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RowState
from tests.rows import message_of, reason_of

ROOT, LATER = "/etc/containerd/certs.d", "/etc/docker/certs.d"
REGISTRY, MIRROR, ENTRY = "harbor.corp.example:5000", "mirror.corp.example", "harbor.corp.example_5000_"
OURS = Material((b"our CA\n",), (ClientPair("node", b"certificate\n", b"key\n"),))
ITS = Material((b"its CA\n",))
WANTED = Desired({name: DesiredRegistry(name, ("a",), of) for name, of in ((REGISTRY, OURS), (MIRROR, ITS))})
ALONE = Desired({REGISTRY: WANTED.registries[REGISTRY]})


def offer(text: str) -> Carried:
    found = parse(text.encode(), f"{ROOT}/_default")
    assert isinstance(found, Carried)
    return found


MIRRORS = offer(f"[host.'https://{MIRROR}']\n[host.'http://127.0.0.1:30020']\n")
OTHERS = offer("[host.'http://127.0.0.1:30021']\n")
TORN = NotCarried("its hosts.toml is not valid TOML", "Correct the file")
SOON = NotCarried("was written just now", soon=True)


def default(found: Carried | NotCarried | None) -> dict[str, ForeignEntry]:
    return {} if found is None else {"_default": ForeignEntry("a directory (with hosts.toml)", offer=found)}


def plan(
    found: Carried | NotCarried | None,
    own: OwnEntry | None = None,
    *,
    desired: Desired = ALONE,
    target: Target = Target(ROOT, Layout.CONTAINERD),  # noqa: B008 - a frozen value
    later: Carried | None = None,
) -> Plan:
    entry = entry_name(target.layout, REGISTRY)
    roots = {target.path: ObservedRoot({} if own is None else {entry: own}, default(found))}
    roots |= {LATER: ObservedRoot(foreign=default(later))} if later is not None else {}
    return make_plan(target, desired, roots)


def switch(made: Plan, registry: str = REGISTRY) -> Switch:
    (step,) = (each for each in made.steps if isinstance(each, Switch) and each.desired.registry == registry)
    return step


def own_after(found: Carried | NotCarried | None, *, desired: Desired = ALONE) -> OwnEntry:
    """Return the entry as the plan's step leaves it."""
    step = switch(plan(found, desired=desired))
    carrying = step.desired.carrying
    carried = None if carrying is None else carrying.carried
    return OwnEntry(REGISTRY, f"{step.digest}-1", step.digest, ("a",), intact=True, carried=carried)


def said(made: Plan) -> tuple[RowState, str]:
    (row,) = (row for row in made.rows if row.registry == REGISTRY)
    return row.state, reason_of(row)


def test_what_default_says_is_taken_along_and_said() -> None:
    made = plan(MIRRORS)

    assert switch(made).desired.carrying is not None
    assert said(made) == (RowState.CURRENT, Reason.MIRRORS_CARRIED)
    assert message_of(made.rows[0]) == (
        f"{ROOT}/{ENTRY} takes along what {ROOT}/_default says: https://{MIRROR}, http://127.0.0.1:30020"
    )


def test_the_registrys_own_server_and_a_host_that_a_trust_names_get_certificates() -> None:
    carrying = switch(plan(MIRRORS, desired=WANTED)).desired.carrying

    assert carrying is not None
    assert carrying.materials == (ITS, None, OURS), "and never a host of plain http"
    alone = switch(plan(MIRRORS)).desired.carrying
    assert alone is not None
    assert alone.materials == (None, None, OURS)


def test_a_server_instead_of_the_registry_gets_the_certificates_of_its_own_trust_alone() -> None:
    elsewhere = switch(plan(offer(f"server = 'https://{MIRROR}'\n[host]\n"), desired=WANTED)).desired.carrying
    itself = switch(plan(offer(f"server = 'https://{REGISTRY}'\n[host]\n"), desired=WANTED)).desired.carrying

    assert elsewhere is not None
    assert itself is not None
    assert (elsewhere.materials, itself.materials) == ((ITS,), (OURS,))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"https://{MIRROR}", MIRROR),
        (f"https://{MIRROR}:443/v2/hub", MIRROR),
        (MIRROR, MIRROR),
        ("https://other.example", "other.example:443"),
        ("https://other.example:443", "other.example:443"),
        ("https://registry-1.docker.io", "docker.io"),
        (f"https://{MIRROR}:8443", ""),
        (f"https://{MIRROR}.evil.example", ""),
    ],
)
def test_a_host_is_a_registry_by_name_and_port(url: str, expected: str) -> None:
    assert registry_of(Host(url), {MIRROR, "other.example:443", "docker.io"}) == expected


def test_what_is_carried_already_needs_no_step_and_a_change_of_any_kind_does() -> None:
    own = own_after(MIRRORS)

    assert plan(MIRRORS, own).steps == ()
    for changed in (OTHERS, None):
        step = switch(plan(changed, own))
        assert not step.repair
        assert (step.desired.carrying and step.desired.carrying.carried) == changed
    assert said(plan(None, own)) == (RowState.CURRENT, "")
    assert switch(plan(MIRRORS, own_after(None))).digest == own.digest


def test_another_password_in_a_header_is_followed_although_the_hash_is_the_same() -> None:
    one, other = (offer(f"[host.a.header]\nAuthorization = '{word}'\n") for word in ("one", "other"))

    step = switch(plan(other, own_after(one)))

    assert step.digest == own_after(one).digest
    assert not step.repair
    assert plan(one, own_after(one)).steps == ()


def test_while_default_cant_be_read_the_entry_keeps_what_it_carries_and_its_certificates_still_change() -> None:
    own = own_after(MIRRORS)
    rotated = Desired({REGISTRY: DesiredRegistry(REGISTRY, ("a",), Material((b"new CA\n",)))})

    assert plan(TORN, own).steps == ()
    assert said(plan(TORN, own)) == (RowState.CURRENT, Reason.MIRRORS_NOT_FOLLOWED)
    assert "goes on with what it said before (https://mirror.corp.example, " in message_of(plan(TORN, own).rows[0])
    carrying = switch(plan(TORN, own, desired=rotated)).desired.carrying
    assert carrying is not None
    assert carrying.carried == MIRRORS


def test_what_this_process_read_last_counts_also_for_an_entry_that_is_new() -> None:
    made = plan(NotCarried(TORN.why, TORN.fix, last=OTHERS))

    carrying = switch(made).desired.carrying
    assert carrying is not None
    assert carrying.carried == OTHERS
    assert said(made) == (RowState.CURRENT, Reason.MIRRORS_NOT_FOLLOWED)


def test_an_entry_is_not_written_before_default_was_read_for_certain() -> None:
    assert (plan(SOON).steps, said(plan(SOON))) == ((), (RowState.PENDING, Reason.NODE_PENDING))
    assert plan(SOON, own_after(MIRRORS)).steps == ()
    assert said(plan(SOON, own_after(MIRRORS))) == (RowState.CURRENT, Reason.MIRRORS_CARRIED)


def test_what_cant_be_taken_along_is_hidden_only_with_replace_and_then_said() -> None:
    replacing = Desired({REGISTRY: DesiredRegistry(REGISTRY, ("a",), OURS, replace=True)})

    assert (plan(TORN).steps, said(plan(TORN))) == ((), (RowState.FAILED, Reason.WOULD_SHADOW))
    made = plan(TORN, desired=replacing)
    assert switch(made).desired.carrying is None
    assert said(made) == (RowState.CURRENT, Reason.MIRRORS_NOT_FOLLOWED)
    assert f"hides {ROOT}/_default and has nothing of it: its hosts.toml" in message_of(made.rows[0])
    assert switch(plan(MIRRORS, desired=replacing)).desired.carrying is not None, "a mirror is not lost by Replace"


def test_default_in_a_later_root_is_carried_unless_the_first_one_has_its_own() -> None:
    target = Target(ROOT, Layout.CONTAINERD, (ROOT, LATER))

    alone = switch(plan(None, target=target, later=OTHERS)).desired.carrying
    both = switch(plan(MIRRORS, target=target, later=OTHERS)).desired.carrying

    assert alone is not None
    assert both is not None
    assert (alone.carried, both.carried) == (OTHERS, MIRRORS)


@pytest.mark.parametrize(
    ("readers", "carries"),
    [
        ((Reader.DOCKERD,), False),
        ((Reader.DOCKERD_CONTAINERD,), True),
        ((Reader.DOCKERD, Reader.DOCKERD_CONTAINERD), True),
        ((Reader.CONTAINERD,), True),
    ],
)
def test_a_root_for_dockerd_carries_for_those_who_read_it_and_without_a_mirrors_certificates(
    readers: tuple[Reader, ...], *, carries: bool
) -> None:
    target = Target(LATER, Layout.DOCKER, readers=readers)

    carrying = switch(plan(MIRRORS, target=target, desired=WANTED)).desired.carrying

    assert (carrying is not None) is carries
    assert carrying is None or carrying.materials == (None, None, OURS)
