"""Neighbourhood: other people's files around ours, in any order of theirs, ours, drift and crashes (Hypothesis)."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from registry_trust.agent.options import Mount
from registry_trust.agent.passes import Passes, PassResult
from registry_trust.agent.rollback import Applied
from registry_trust.agent.runtime.candidates import read
from registry_trust.agent.store.store import Store
from registry_trust.core.desired import Desired, DesiredRegistry
from registry_trust.core.errors import StoreFailure
from registry_trust.core.layout import STORE, Layout, Material, entry_name, replaced_name
from registry_trust.core.observed import Target
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RowState, TargetState
from tools.torture.figures import Figures
from tools.torture.neighbours import Attributes, attributes, chosen, follow, keys_below, looked_up, mark
from tools.trials.interruptions import Calls, interrupted, killed_at
from tools.trials.roots import CA_1, CA_2, PAIR_1, PAIR_2, MovedClock, unfinished_names

GOAL = 500

REGISTRIES = ("one.example", "two.example:5000")
CONTENTS = (Material((CA_1,)), Material((CA_2,), (PAIR_1,)), Material((CA_1, CA_2), (PAIR_2,)))
REFUSALS = {Reason.FOREIGN_FILE, Reason.SHADOWED, Reason.WOULD_SHADOW}
QUIET_AFTER = 4
"""Passes, far enough apart for every pause and grace."""


class Neighbourhood(RuleBasedStateMachine):
    """Two roots that one reader looks in, one of them ours to write."""

    figures = Figures("other people's files (Hypothesis)", "sequences", GOAL)

    @initialize(layout=st.sampled_from(list(Layout)), second=st.booleans())
    def begin(self, layout: Layout, *, second: bool) -> None:
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(dir=memory, prefix="registry-trust-torture-"))
        self.layout = layout
        self.roots = (self.folder / "first", self.folder / "second")
        self.outside = self.folder / "outside"
        for folder in (*self.roots, self.outside):
            folder.mkdir()
        (self.outside / "ca.crt").write_bytes(b"theirs, from outside\n")
        self.ours = self.roots[1 if second else 0]
        self.chain = (self.ours,) if layout is Layout.DOCKER else self.roots
        self.clock = MovedClock()
        self.desired: dict[str, Material] = {}
        self.replacing: set[str] = set()
        self.theirs: set[Path] = {self.outside}
        self.orphans: set[str] = set()
        self.figures.count += 1
        self.start()

    # The agent

    def start(self) -> None:
        self.passes = Passes([Mount(str(root), str(root)) for root in self.roots])
        for root in self.roots:
            self.passes.roots.stores[str(root)] = Store(str(root), monotonic=self.clock)

    def turn(self) -> PassResult:
        wanted = self.desired.items()
        desired = {name: DesiredRegistry(name, ("a",), files, name in self.replacing) for name, files in wanted}
        path = str(self.ours)
        target = Target(path, self.layout, tuple(str(root) for root in self.chain))
        return self.passes.apply([read(target)], Desired(desired), Applied("uid-1", 1), self.clock.now)

    def entry(self, registry: str) -> Path:
        return self.ours / entry_name(self.layout, registry)

    def kept(self, registry: str) -> Path:
        return self.ours / replaced_name(self.entry(registry).name)

    def is_linked(self, registry: str) -> bool:
        entry = self.entry(registry)
        return entry.is_symlink() and str(entry.readlink()).startswith(f"{STORE}/")

    def is_written(self, registry: str) -> bool:
        """Let the agent write an entry, unless it refuses to; say whether it is in place."""
        if not self.is_linked(registry):
            self.desired.setdefault(registry, CONTENTS[1])
            self.watched("a pass", self.turn)
        return self.is_linked(registry) and self.entry(registry).exists()

    def watched(self, action: str, act: object) -> None:
        """Let our side do something, and compare what was others' before and after."""
        assert callable(act)
        before = {path: attributes(path) for path in self.theirs}
        readings = {
            registry: found
            for registry in REGISTRIES
            if registry not in self.replacing
            and (found := chosen(self.layout, self.chain, registry)) is not None
            and found[1]
            and not (found[0] == self.entry(registry) and self.is_linked(registry))
            # Our link is in place, and somebody took away what it leads to: that is repaired.
            and not (self.is_linked(registry) and not self.entry(registry).exists())
        }
        act()
        self.follow_what_changed_places(before)
        assert {path: attributes(path) for path in self.theirs} == before, f"{action} changed somebody else's files"
        for registry, found in readings.items():
            assert chosen(self.layout, self.chain, registry) == found, f"{action} hid what was read for {registry}"
        self.figures.add("comparisons of all foreign files")

    def follow_what_changed_places(self, before: dict[Path, Attributes]) -> None:
        for registry in REGISTRIES:
            entry, kept = self.entry(registry), self.kept(registry)
            if (registry in self.replacing and follow(before, self.theirs, entry, kept)) or (
                registry not in self.desired and follow(before, self.theirs, kept, entry)
            ):
                self.figures.add("things that changed places")

    @rule()
    def agent_makes_a_pass(self) -> None:
        self.watched("a pass", self.turn)

    @rule(point=st.integers(1, 40))
    def agent_dies(self, point: int) -> None:
        def die() -> None:
            if killed_at(point, self.turn):
                self.figures.add("kills")

        self.watched("a killed pass", die)
        self.start()

    @rule()
    def agent_is_restarted(self) -> None:
        self.start()

    @rule()
    def a_minute_goes_by(self) -> None:
        self.clock.now += 61

    # The admin

    @rule(registry=st.sampled_from(REGISTRIES), content=st.sampled_from(CONTENTS), replace=st.booleans())
    def admin_wants(self, registry: str, content: Material, *, replace: bool) -> None:
        self.desired[registry] = content
        (self.replacing.add if replace else self.replacing.discard)(registry)

    @rule(registry=st.sampled_from(REGISTRIES))
    def admin_no_longer_wants(self, registry: str) -> None:
        self.desired.pop(registry, None)
        self.replacing.discard(registry)

    # The neighbours

    def places(self) -> list[Path]:
        names = dict.fromkeys(
            name for registry in (*REGISTRIES, "third.example") for name in looked_up(self.layout, registry)
        )
        return [root / name for root in self.roots for name in names]

    @rule(
        number=st.integers(0, 30),
        kind=st.sampled_from(("ca", "empty", "hosts", "empty-hosts", "file", "nowhere", "outside", "notes")),
    )
    def neighbour_puts(self, number: int, kind: str) -> None:
        places = self.places()
        self.put(places[number % len(places)], kind)

    def put(self, place: Path, kind: str) -> None:
        if os.path.lexists(place):
            return
        if kind == "file":
            place.write_text("theirs")
        elif kind in ("nowhere", "outside"):
            place.symlink_to("nothing-there" if kind == "nowhere" else self.outside)
        else:
            place.mkdir(mode=0o750)
            if kind != "empty":
                name = {"ca": "ca.crt", "notes": "notes.txt"}.get(kind, "hosts.toml")
                file = place / name
                file.write_text("" if kind == "empty-hosts" else f"theirs: {kind}\n")
                file.chmod(0o640)
                mark(file)
            mark(place)
        self.theirs.add(place)
        self.figures.add("foreign things put somewhere")

    @rule(registry=st.sampled_from(REGISTRIES), kind=st.sampled_from(("ca", "empty", "nowhere")))
    def neighbour_replaces_our_entry(self, registry: str, kind: str) -> None:
        if self.is_written(registry):
            self.entry(registry).unlink()
            self.orphans.discard(registry)
            self.put(self.entry(registry), kind)

    @rule(registry=st.sampled_from(REGISTRIES), kind=st.sampled_from(("ca", "file", "outside")), back=st.booleans())
    def neighbour_gives_way(self, registry: str, kind: str, *, back: bool) -> None:
        self.put(self.entry(registry), kind)
        self.admin_wants(registry, CONTENTS[1], replace=True)
        self.watched("a pass", self.turn)
        if back:
            self.admin_no_longer_wants(registry)

    @precondition(lambda self: len(self.theirs) > 1)
    @rule(number=st.integers(0, 30), edit=st.booleans())
    def neighbour_edits_or_removes_theirs(self, number: int, *, edit: bool) -> None:
        paths = sorted(self.theirs - {self.outside})
        path = paths[number % len(paths)]
        if edit and path.is_dir() and not path.is_symlink():
            (path / "ca.crt").write_text(f"theirs, edited {number}\n")
            return
        self.theirs.discard(path)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    # Drift

    @rule(registry=st.sampled_from(REGISTRIES), kind=st.sampled_from(("edit", "mode", "file", "link", "extra")))
    def somebody_changes_what_is_read(self, registry: str, kind: str) -> None:
        entry = self.entry(registry)
        if not self.is_written(registry):
            return
        self.figures.add("changes of ours by others")
        generation = self.ours / entry.readlink()
        file, extra = generation / "ca.crt", generation / "extra.crt"
        if kind == "link":
            entry.unlink()
            self.orphans.discard(registry)
        elif kind == "extra":
            if not extra.exists():
                extra.write_text("written through our link")
            self.theirs.add(extra)
        elif not file.exists() or file in self.theirs:
            return
        elif kind == "edit":
            file.write_bytes(b"edited\n")
            self.theirs.add(file)  # It holds what somebody wrote: it stays, though nobody reads it any more.
        elif kind == "mode":
            file.chmod(0o666)
        else:
            file.unlink()

    @rule(
        registry=st.sampled_from(REGISTRIES),
        kind=st.sampled_from(("mode", "state", "manifest", "generation", "folder")),
    )
    def somebody_changes_the_store(self, registry: str, kind: str) -> None:
        entry = self.entry(registry)
        if not self.is_written(registry):
            return
        self.figures.add("changes of ours by others")
        folder = self.ours / STORE / entry.name
        if kind == "mode":
            folder.chmod(0o777)
        elif kind == "state":
            (self.ours / STORE / "state.json").unlink(missing_ok=True)
        elif kind == "manifest":
            (folder / "owner.json").unlink(missing_ok=True)
            self.orphans.add(registry)
        else:
            gone = folder if kind == "folder" else self.ours / entry.readlink()
            shutil.rmtree(gone)
            self.theirs = {path for path in self.theirs if not path.is_relative_to(gone)}
            if kind == "folder":
                self.orphans.add(registry)

    # What holds

    @invariant()
    def no_key_is_wider_than_0600(self) -> None:
        for path in keys_below(self.roots if hasattr(self, "roots") else ()):
            assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0, path

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            try:
                self.settle()
            finally:
                shutil.rmtree(self.folder)

    def settle(self) -> None:
        """After some quiet passes the disk equals the plan, and one more pass changes nothing at all."""
        for _ in range(QUIET_AFTER):
            self.clock.now += 700
            self.watched("a quiet pass", self.turn)
        with interrupted(Calls()) as calls:
            result = self.turn()
        assert calls.names == [], f"a pass over what is in place made {calls.names}"
        assert [row for row in result.targets if row.state is TargetState.FAILED] == []
        assert [name for root in self.roots for name in unfinished_names(root)] == []
        rows = {row.registry: row for row in result.rows}
        assert rows.keys() == self.desired.keys()
        for registry, row in ((registry, rows.get(registry)) for registry in REGISTRIES):
            self.expect(registry, None if row is None else row.state)
            if row is not None and row.state is RowState.FAILED:
                assert (row.problem and row.problem.reason) in REFUSALS, row
                self.figures.add("refusals at the end")

    def expect(self, registry: str, state: RowState | None) -> None:
        entry = self.entry(registry)
        if state is None:
            assert not self.is_linked(registry) or registry in self.orphans, f"{entry} is still there"
            if os.path.lexists(self.kept(registry)) and registry not in self.orphans:
                assert os.path.lexists(entry), f"what stood at {entry} was not put back"
        elif state is RowState.CURRENT:
            assert self.is_linked(registry)
            material = self.desired[registry]
            expected = {"ca.crt": b"".join(material.ca_certificates)}
            for pair in material.client_pairs:
                expected |= {f"{pair.name}.cert": pair.certificate, f"{pair.name}.key": pair.key}
            found = chosen(self.layout, self.chain, registry)
            assert found is not None
            assert found[0] == entry, f"{found[0]} is read in place of {entry}, and nobody says so"
            assert {name: data for name, data in found[1].items() if name != "hosts.toml"} == expected


def neighbourhood(examples: int, *, shortest: bool = True) -> Figures:
    """Run so many sequences; one that fails stands in the figures, the shortest such one if that is asked."""
    figures = Neighbourhood.figures = Figures("other people's files (Hypothesis)", "sequences", GOAL)
    try:
        run_state_machine_as_test(
            Neighbourhood,
            settings=settings(
                max_examples=examples,
                stateful_step_count=30,
                deadline=None,
                report_multiple_bugs=False,
                phases=(Phase.generate, Phase.shrink) if shortest else (Phase.generate,),
                database=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
    except (AssertionError, OSError, ValueError, StoreFailure) as error:
        notes = "; ".join(getattr(error, "__notes__", ()))
        figures.fail("a sequence", f"{error!r} {notes}")
    return figures
