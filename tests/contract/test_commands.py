"""The page of commands has every command, option and exit code that the help has, and no line of help is cut."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from registry_trust.cli.ending import Exit
from registry_trust.cli.main import main

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "commands.md").read_text()
SECTIONS = dict(re.findall(r"^## registry-trust (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
OWN = [name for name in main.commands if name not in ("agent", "doctor")]  # These load the standard library alone.


def in_table(section: str) -> set[str]:
    rows = re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE)
    return {option for row in rows for option in re.findall(r"`(-[^`]+)`", row)}


def help_of(*words: str, width: int = 80) -> str:
    done = CliRunner().invoke(main, [*words, "--help"], terminal_width=width)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_page_has_a_section_for_each_command():
    assert set(SECTIONS) == set(main.commands)


@pytest.mark.parametrize("name", OWN)
def test_its_table_has_the_options_that_the_command_takes(name):
    options = [each for each in main.commands[name].params if isinstance(each, click.Option)]

    assert in_table(SECTIONS[name]) == {text for each in options for text in (*each.opts, *each.secondary_opts)}


@pytest.mark.parametrize("name", OWN)
def test_every_option_that_needs_words_has_them_in_the_help(name):
    silent = [each.name for each in main.commands[name].params if isinstance(each, click.Option) and not each.help]

    assert silent in ([], ["output"]), "its choices say everything"


@pytest.mark.parametrize("name", ["", *OWN])
def test_page_and_help_have_the_same_exit_codes(name):
    listed = dict(re.findall(r"^ {4}(\d+) +(.+)$", help_of(*name.split()), re.MULTILINE))

    assert listed == dict(re.findall(r"^\| (\d+) \| (.+) \|$", PAGE, re.MULTILINE))
    assert {int(code) for code in listed} == set(Exit)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_line_of_help_is_cut(width):
    for words in ([], *([name] for name in OWN)):
        text = (
            help_of(*words, width=width)
            .replace("KEY=VALUE[,...]", "")
            .replace("[FILES]...", "")
            .replace("[PATHS]...", "")
            .replace("[ARGS]...", "")
        )
        assert "..." not in text, text
    listed = " ".join(help_of(width=width).split())
    for command in main.commands.values():
        assert str(command.short_help) in listed


def test_the_page_has_every_variable_of_the_environment_that_the_code_reads():
    read = set()
    for path in (Path(__file__).resolve().parents[2] / "operator").rglob("*.py"):
        read |= set(re.findall(r"environ(?:\.get\(|\[)[\"'](\w+)|envvar=\"(\w+)\"", path.read_text()))

    assert {name for pair in read for name in pair if name} == set(
        re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE)
    )
