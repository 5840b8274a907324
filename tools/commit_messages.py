"""Checks commit messages: a subject in the imperative, and a body that says why.

Command line: `python -m tools.commit_messages FILE` for the message in a file, as git's commit-msg hook calls it, or
`--range BASE..HEAD` for every commit of a branch.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

LONGEST_SUBJECT = 72
SCISSORS = "# ------------------------ >8 ------------------------"
UNFINISHED = ("fixup! ", "squash! ", "amend! ")
"""What git itself puts before the subject of a commit that a rebase will merge into another."""

_NOT_IMPERATIVE = re.compile(r"[a-z]*[a-z](?:ed|ing|[^s]s)")
_IMPERATIVE = frozenset({"bring", "embed", "exceed", "feed", "focus", "need", "proceed", "seed", "speed", "bias"})
"""Verbs that only look like a past tense, a gerund or a third person."""
_TRAILER = re.compile(r"[A-Z][A-Za-z]*(-[A-Za-z]+)+: .*")


def problems(message: str, *, finished: bool = True) -> list[str]:
    """Return what is wrong with a message, a sentence each.

    A merge is not checked: git writes its message. Where `finished` is false, neither is a commit that is still to be
    merged into another.
    """
    text, _, _ = message.partition(SCISSORS)
    subject, *rest = [line.rstrip() for line in text.strip().splitlines() if not line.startswith("#")] or [""]
    if subject.startswith("Merge "):
        return []
    if subject.startswith(UNFINISHED):
        return ["merge it into the commit that it amends: git rebase --autosquash"] if finished else []
    found = _of_subject(subject)
    if rest and rest[0]:
        found.append("leave the second line empty")
    if not any(line and not _TRAILER.fullmatch(line) for line in rest[1:]):
        found.append("say why in a body, after an empty line")
    return found


def _of_subject(subject: str) -> list[str]:
    if not subject:
        return ["write a subject"]
    found = []
    if len(subject) > LONGEST_SUBJECT:
        found.append(f"the subject has {len(subject)} characters; at most {LONGEST_SUBJECT} are shown everywhere")
    if subject.endswith("."):
        found.append("end the subject without a period")
    first = re.split(r"[^\w'-]", subject, maxsplit=1)[0]
    if not re.fullmatch(r"[A-Z][a-z-]+", first):
        found.append("begin the subject with a verb and a capital letter, without a prefix")
    elif first.lower() not in _IMPERATIVE and _NOT_IMPERATIVE.fullmatch(first.lower()):
        found.append(f"write the subject in the imperative ('Keep …', not 'Keeps …' or 'Kept …'): {first}")
    return found


def _of_range(commits: str) -> dict[str, str]:
    """Return the messages of a range, by abbreviated commit and in the order of history.

    Raises:
        subprocess.CalledProcessError: git does not know the range; its words are on standard error.
    """
    command = ["git", "log", "--reverse", "-z", "--format=%h%n%B", commits, "--"]
    listed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    parts = [entry.partition("\n") for entry in listed.split("\0") if entry]
    return {commit: message for commit, _, message in parts}


def main(arguments: list[str]) -> int:
    """Print what is wrong; 1 if anything is."""
    parser = argparse.ArgumentParser(prog="python -m tools.commit_messages", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("file", nargs="?", type=Path, help="a file with one message")
    which.add_argument("--range", metavar="BASE..HEAD", help="every commit of a range")
    chosen = parser.parse_args(arguments)
    messages = _of_range(chosen.range) if chosen.range else {"commit message": chosen.file.read_text()}
    found = [
        f"{name}: {problem}"
        for name, message in messages.items()
        for problem in problems(message, finished=bool(chosen.range))
    ]
    sys.stderr.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
