"""The steps that change certificates: the CA and the client pair under pulls, and a Secret that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tools.authority import Authority, Pair
from tools.demo.following import Followed, follow, revision_of, wait_for_condition
from tools.demo.objects import CLIENT_SECRET, TRUST, apply, ca_secret, client_secret
from tools.demo.output import Output
from tools.demo.pulls import Count, PullLoop, WrongPullError, more_pulls
from tools.demo.scene import HOST, Scene
from tools.demo.steps import pull_everywhere


def rotate_ca(out: Output, scene: Scene, image: str) -> list[Count]:
    """Replace the registry's CA under pulls: both CAs in the Secret, then the server's, then the new one alone."""
    out.heading("The registry gets another CA while all three runtimes pull")
    old, new = scene.registry.authority, Authority.create(f"{HOST} CA 2")

    def change(loops: Sequence[PullLoop]) -> None:
        followed = _put_ca(scene, old.pem, new.pem)
        out.good(f"the Secret holds both CAs: {followed}")
        scene.registry.rotate(authority=new)
        more_pulls(loops)
        out.good("the registry shows a certificate of the new CA; pulls go on")
        followed = _put_ca(scene, new.pem)
        more_pulls(loops)
        out.good(f"the Secret holds the new CA alone: {followed}")

    counts = _while_pulling(scene, image, change, pair_changes=False)
    _tell(out, counts)
    return counts


def rotate_client_pair(out: Output, scene: Scene, image: str) -> list[Count]:
    """Replace the nodes' client certificate and key while every runtime pulls; the registry knows both client CAs."""
    out.heading("The nodes get another client certificate and key while all three runtimes pull")
    old, new = scene.registry.client_authorities[0], Authority.create(f"{HOST} client CA 2")

    def change(loops: Sequence[PullLoop]) -> None:
        scene.registry.rotate(client_authorities=[old, new])
        secret = client_secret(new.client("node"))
        followed = follow(scene, lambda: apply(scene.api, secret))
        out.good(f"the Secret holds the new pair: {followed}")
        more_pulls(loops)
        scene.registry.rotate(client_authorities=[new])
        more_pulls(loops)
        out.good("the registry takes client certificates of the new client CA alone; pulls go on")

    counts = _while_pulling(scene, image, change, pair_changes=True)
    _tell(out, counts)
    out.say(
        "What nobody can promise here: docker and containers-image open client.cert and client.key one after the "
        "other. A switch between the two gives one file of each pair, and the next try is right: such a pull is "
        "counted as retried. containerd reads both by one hosts.toml, and can't mix them."
    )
    return counts


def refuse_wrong_secret(out: Output, scene: Scene, image: str) -> None:
    """Put the key of another certificate into the Secret, and show that nodes keep what they have."""
    out.heading("A wrong Secret: the key of another certificate")
    registry = scene.registry
    good, other = registry.client("node"), registry.client("somebody else")
    before = revision_of(scene)
    apply(scene.api, client_secret(Pair(good.certificate, other.key)))
    accepted = wait_for_condition(scene, TRUST, "Accepted", "False")
    out.good(f"{CLIENT_SECRET} is refused. What {TRUST} says in status (Accepted=False, {accepted['reason']}):")
    out.quote(str(accepted["message"]))
    if revision_of(scene) != before:
        raise AssertionError("a refused Secret changed the revision that is served")
    pull_everywhere(out, scene, image)
    followed = follow(scene, lambda: apply(scene.api, client_secret(good)))
    out.good(f"cured with the right key: {followed}")


def _put_ca(scene: Scene, *certificates: bytes) -> Followed:
    return follow(scene, lambda: apply(scene.api, ca_secret(*certificates)))


def _while_pulling(
    scene: Scene, image: str, change: Callable[[Sequence[PullLoop]], None], *, pair_changes: bool
) -> list[Count]:
    """Make a change while every node pulls in a loop.

    Raises:
        WrongPullError: a pull failed that must not.
    """
    loops = [PullLoop(puller, image, pair_changes=pair_changes) for puller in scene.pullers()]
    try:
        more_pulls(loops)
        change(loops)
        more_pulls(loops)
    finally:
        counts = [loop.stop() for loop in loops]
    for count in counts:
        if count.failures:
            raise WrongPullError(
                f"{len(count.failures)} of {count.pulls} pulls that must succeed failed: {count.layout} layout, "
                f"{image}; the first: {count.failures[0]}"
            )
    return counts


def _tell(out: Output, counts: Sequence[Count]) -> None:
    each = ", ".join(f"{count.layout} {count.pulls}" for count in counts)
    out.good(f"pulls meanwhile: {each}; none failed{retried(counts)}")


def retried(counts: Sequence[Count]) -> str:
    """Say how many pulls were right at the second try only; nothing where none was."""
    number = sum(count.retried for count in counts)
    return f", {number} retried" if number else ""
