"""A directory that is mounted under two paths, as where a host's /etc/docker/certs.d is a link to containerd's."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry_trust.agent.options import Mount
from registry_trust.agent.passes import Passes
from registry_trust.agent.rollback import Applied
from registry_trust.agent.runtime.candidates import read
from registry_trust.core.layout import Layout
from registry_trust.core.observed import Target
from registry_trust.core.report import RowState, TargetState
from tools.trials.roots import CA_1, CA_2, NOTHING, REGISTRY, files_of, read_as_runtime, wanted


@pytest.mark.parametrize("layout", [Layout.DOCKER, Layout.CONTAINERD])
@pytest.mark.parametrize("chosen", ["containerd", "docker"])
def test_it_is_locked_once_and_no_pass_waits_for_itself(tmp_path: Path, chosen: str, layout: Layout) -> None:
    (tmp_path / "containerd").mkdir()
    (tmp_path / "docker").symlink_to(tmp_path / "containerd")
    mounts = [Mount(str(tmp_path / name), str(tmp_path / name)) for name in ("containerd", "docker")]
    target = Target(str(tmp_path / chosen), layout, tuple(mount.host for mount in mounts))

    for serial, authority in enumerate((CA_1, CA_2), 1):
        passes = Passes(mounts)  # a new process each time: the store is there already, and with it the lock
        states, _, whole = passes.look()
        assert whole, "a root could not be locked"
        assert {state.serial for state in states} == ({serial - 1} if serial > 1 else set())
        result = passes.apply([read(target)], wanted(authority), Applied("uid", serial), 0.0)
        assert [row.state for row in result.targets] == [TargetState.READ]
        assert [row.state for row in result.rows] == [RowState.CURRENT]
        assert read_as_runtime(tmp_path / "containerd", layout, REGISTRY) == files_of(authority)

    assert passes.apply([read(target)], NOTHING, Applied("uid", 3), 0.0).whole
    assert read_as_runtime(tmp_path / "docker", layout, REGISTRY) is None
