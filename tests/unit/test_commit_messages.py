"""The check of commit messages: what passes, and what is said of what does not."""

from __future__ import annotations

import pytest

from tools.commit_messages import main, problems

GOOD = "Keep an entry whose source disappeared\n\nA pull must not fail because somebody deleted a Secret.\n"
WHY = "\n\nBecause it is so.\n"


@pytest.mark.parametrize(
    "message",
    [
        GOOD,
        "Bring Go where the machine's own is missing" + WHY,
        "Pass the clock in" + WHY,
        "Re-read the bundle after a rename" + WHY,
        "K" + "e" * 71 + WHY,
        "Merge branch 'main' into topic",
        "Keep it\n\nWhy.\n\nSigned-off-by: Somebody <somebody@example.com>\n",
        "# a comment of git's\nKeep it\n# another\n\nWhy.\n# Please enter the commit message\n",
        f"{GOOD}# ------------------------ >8 ------------------------\ndiff --git a/x b/x\n",
    ],
)
def test_a_subject_in_the_imperative_and_a_body_pass(message):
    assert problems(message) == []


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("", "write a subject"),
        ("# only comments\n", "write a subject"),
        ("K" + "e" * 72 + WHY, "the subject has 73 characters"),
        ("Keep it." + WHY, "without a period"),
        ("keep it" + WHY, "a capital letter"),
        ("agent: Keep it" + WHY, "a capital letter"),
        ("README: keep it" + WHY, "a capital letter"),
        ("Keeps it" + WHY, "imperative"),
        ("Added a check" + WHY, "imperative"),
        ("Fixing a check" + WHY, "imperative"),
        ("Keep it\nBecause.\n", "second line empty"),
        ("Keep it\n", "say why"),
        ("Keep it\n\nSigned-off-by: Somebody <somebody@example.com>\n", "say why"),
        ("Keep it\n\n# Because of a comment.\n", "say why"),
        ("Keep it\n\n# ------------------------ >8 ------------------------\n+ a line\n", "say why"),
        ("fixup! Keep it\n", "--autosquash"),
    ],
)
def test_what_is_wrong_is_said(message, said):
    assert said in "\n".join(problems(message))


def test_a_commit_that_is_still_to_be_merged_into_another_may_be_made():
    assert problems("fixup! Keep it\n", finished=False) == []


def test_the_hook_reads_the_file_that_git_hands_it(tmp_path, capsys):
    file = tmp_path / "COMMIT_EDITMSG"
    file.write_text(GOOD)
    assert main([str(file)]) == 0

    file.write_text("Keep it.\n")
    assert main([str(file)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "commit message: end the subject without a period",
        "commit message: say why in a body, after an empty line",
    ]
