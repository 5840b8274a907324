"""`_default` settles: it is relied on once it was seen the same for a moment, and what was good stays till then."""

from __future__ import annotations

from registry_trust.agent.store.default import OFTEN, SETTLED, SETTLED_OFTEN, Defaults
from registry_trust.core.carried import Carried, NotCarried
from registry_trust.core.hosts_toml import parse
from registry_trust.core.observed import ForeignEntry, ObservedRoot

ROOT = "/etc/containerd/certs.d"
WHOLE = "[host.'http://127.0.0.1:30020']\n[host.'http://127.0.0.1:30021']\n"
HALF = WHOLE[: len(WHOLE) // 2]
TORN = HALF[:-5]


class Watching:
    """A `_default` that a test writes, and what the agent relies on at each moment."""

    def __init__(self) -> None:
        self.defaults = Defaults()
        self.now = 100.0

    def look(self, text: str | None, after: float = 0.0) -> ForeignEntry | None:
        self.now += after
        offer = None if text is None else parse(text.encode(), f"{ROOT}/_default")
        foreign = {"other": ForeignEntry("a file", reads=False)}
        foreign |= {} if text is None else {"_default": ForeignEntry("a directory", offer=offer)}
        settled = self.defaults.settle(ROOT, ObservedRoot(foreign=foreign), self.now).foreign
        assert settled["other"] == foreign["other"]
        return settled.get("_default")

    def hosts(self, text: str | None, after: float = 0.0) -> int | str:
        """Return how many hosts are relied on, `-` for no `_default`, `?` for one that is not known."""
        found = self.look(text, after)
        if found is None:
            return "-"
        if isinstance(found.offer, NotCarried):
            return "?" if found.offer.last is None else len(found.offer.last.hosts)
        assert isinstance(found.offer, Carried)
        return len(found.offer.hosts)

    def due(self) -> float | None:
        due = self.defaults.due(self.now)
        return None if due is None else round(due, 3)


def test_where_none_is_nothing_is_waited_for() -> None:
    watching = Watching()

    assert (watching.hosts(None), watching.due()) == ("-", None)


def test_the_first_one_that_is_seen_is_relied_on_a_moment_later() -> None:
    watching = Watching()

    found = watching.look(WHOLE)

    assert found is not None
    assert isinstance(found.offer, NotCarried)
    assert found.offer.soon
    assert watching.due() == SETTLED
    assert (watching.hosts(WHOLE, SETTLED), watching.due()) == (2, None)


def test_half_a_file_is_never_relied_on_while_it_is_being_written() -> None:
    watching = Watching()
    watching.hosts(WHOLE)
    watching.hosts(WHOLE, 1)

    # Each read is of another half, whether or not that half is TOML; what was whole stays.
    for step in range(50):
        assert watching.hosts((HALF, TORN, "", WHOLE)[step % 4], SETTLED * 0.9) == 2
    assert watching.hosts(None, SETTLED * 0.9) == 2
    assert watching.hosts(WHOLE, SETTLED * 0.9) == 2


def test_a_file_that_stays_broken_keeps_what_was_read_last_and_says_why() -> None:
    watching = Watching()
    watching.hosts(WHOLE)
    watching.hosts(WHOLE, 1)

    watching.hosts(TORN)
    found = watching.look(TORN, 1)

    assert found is not None
    assert isinstance(found.offer, NotCarried)
    assert (found.offer.soon, "not valid TOML" in found.offer.why) == (False, True)
    assert found.offer.last is not None
    assert watching.due() is None
    assert watching.hosts(WHOLE, 5) == 2


def test_one_that_goes_is_gone_a_moment_later_and_forgotten() -> None:
    watching = Watching()
    watching.hosts(WHOLE)
    watching.hosts(WHOLE, 1)

    assert watching.hosts(None) == 2
    assert watching.hosts(None, SETTLED) == "-"
    watching.hosts(TORN)
    assert watching.hosts(TORN, SETTLED) == "?"


def test_one_that_changes_all_the_time_is_followed_more_slowly() -> None:
    watching = Watching()
    watching.hosts(WHOLE)
    for step in range(OFTEN):
        text = (WHOLE, WHOLE.split("\n", maxsplit=1)[0])[step % 2]
        watching.hosts(text)
        watching.hosts(text, SETTLED)

    watching.hosts(WHOLE)

    assert watching.due() == SETTLED_OFTEN
    assert watching.hosts(WHOLE, SETTLED) == 1
    assert watching.hosts(WHOLE, SETTLED_OFTEN) == 2
