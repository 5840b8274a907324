"""Where things that outlive a checkout are kept: the cache of built binaries and images, and the state of what runs."""

import os
from pathlib import Path

GO_MODULES = Path(__file__).parents[1] / "go"
REPOSITORY = Path(__file__).parents[2]


def cache_folder() -> Path:
    """Safe to delete at any time: everything in it can be built again."""
    return _base("XDG_CACHE_HOME", ".cache") / "registry-trust"


def state_folder() -> Path:
    """What runs now, and what must be removed after a crash; one folder per run."""
    return _base("XDG_STATE_HOME", ".local/state") / "registry-trust"


def _base(variable: str, default: str) -> Path:
    named = os.environ.get(variable, "")
    return Path(named) if named.startswith("/") else Path.home() / default
