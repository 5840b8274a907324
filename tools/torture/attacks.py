"""Attacks: the store writes while a process swaps its directories for links, or spins on opening its keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tools.torture.figures import Figures
from tools.trials import attackers

GOAL = 100_000

LEAST_ATTACKED = 50
"""Of a hundred changes, those before which the attacker must have been at work again for the run to prove anything."""


def swapped(folder: Path, changes: int) -> Figures:
    """Let a process swap the store's directories for links to a folder outside."""
    figures = Figures("directories swapped for links", "changes under attack", GOAL)
    return _attacked(figures, attackers.attack_by_swapping, folder, changes, "swaps", "changes outside the root")


def spied(folder: Path, changes: int) -> Figures:
    """Let an unprivileged process open everything that may be a key."""
    figures = Figures("keys spied on", "changes under attack", GOAL)
    folder.chmod(0o755)
    return _attacked(figures, attackers.attack_by_spying, folder, changes, "tries to open", "keys read")


def _attacked(
    figures: Figures,
    attack: Callable[[Path, int], attackers.AttackFigures],
    folder: Path,
    changes: int,
    attempts: str,
    successes: str,
) -> Figures:
    came_to = attack(folder, changes)
    figures.count = came_to.changes
    figures.add(attempts, came_to.attempts)
    figures.add("changes with an attempt since the last one", came_to.attacked)
    figures.add("passes", came_to.passes)
    figures.add("passes that met the attack", came_to.met)
    figures.add(successes, came_to.successes)
    figures.fail("in all", f"{came_to.successes} {successes}" if came_to.successes else "")
    idle = came_to.attacked * 100 < came_to.changes * LEAST_ATTACKED
    figures.fail("in all", f"only {came_to.attacked} changes were made under attack" if idle else "")
    return figures
