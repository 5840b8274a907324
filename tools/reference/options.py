"""The tables of options in docs/commands.md, from the commands themselves."""

from __future__ import annotations

import argparse
from pathlib import Path

import click

from deploy.generate import ROOT
from registry_trust.agent import options as agent
from registry_trust.cli.main import main
from registry_trust.doctor import options as doctor
from tools.reference.parts import code, table, with_parts

PAGE: Path = ROOT / "docs" / "commands.md"
_HEAD = ("option", "value", "default", "meaning")


def render() -> str:
    """Return the page with a table for each command."""
    own = {"agent": agent.argument_parser(), "doctor": doctor.argument_parser()}
    tables = {f"options of {name}": _of(command) for name, command in main.commands.items() if name not in own}
    tables |= {f"options of {name}": table(_HEAD, map(_argument, _actions(parser))) for name, parser in own.items()}
    return with_parts(PAGE.read_text(), "the command", tables)


def _of(command: click.Command) -> str:
    context = click.Context(command)
    return table(_HEAD, [_option(each, context) for each in command.params if isinstance(each, click.Option)])


def _option(option: click.Option, context: click.Context) -> tuple[str, str, str, str]:
    names = ", ".join(code(name) for name in (*option.opts, *option.secondary_opts))
    help_text, _, said = (option.help or "").partition("[default: ")
    default = said.rstrip("] ")
    if not default and option.show_default:
        default = option.opts[0] if option.is_flag else str(option.default)
        default = code(default)
    if option.envvar:
        default = f"{code(f'${option.envvar}')}; {default}"
    if option.required:
        default = "**required**"
    value = "" if option.is_flag else _value(option, context)
    more = "" if not option.multiple or "Repeatable" in help_text else " Repeatable."
    return names, value, default, f"{help_text.strip()}{more}"


def _value(option: click.Option, context: click.Context) -> str:
    if isinstance(option.type, click.Choice):
        return ", ".join(code(str(each)) for each in option.type.choices)
    return code(option.make_metavar(context))


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if action.dest != "help"]  # noqa: SLF001 - argparse has no other way


def _argument(action: argparse.Action) -> tuple[str, str, str, str]:
    names = ", ".join(code(name) for name in action.option_strings or [str(action.metavar)])
    choices = ", ".join(code(str(each)) for each in action.choices or ())
    default = code(str(action.default)) if action.default not in (None, "", [], False) else ""
    value = choices or (code(str(action.metavar or "TEXT")) if action.option_strings and action.nargs != 0 else "")
    return names, value, "**required**" if action.required else default, action.help or ""
