"""The command and its subcommands, from click."""

import importlib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from docs.generate.tables import code, table

ROOT = Path(__file__).resolve().parent.parent.parent

# click keeps no help for an argument.
ARGUMENTS: Mapping[str, str] = {
    "actions publish campaign": "its id",
    "actions publish file": "title, scripts and settings of the action, as TOML or JSON",
    "campaigns create name": "what people call it",
    "contacts import campaign": "its id",
    "contacts import file": "a CSV with a header row",
    "contacts suppress campaign": "its id",
    "contacts suppress file": "a CSV with a header row",
    "export campaign": "its id",
    "export subject": "messages, replies, contacts, reports, opt-outs or clicks",
    "scenario": "a name or the path of a TOML file",
    "keys create name": "what the key is for, in your own words",
    "keys revoke key_id": "the key's id, or the key itself",
    "load compare a": "the runs before: folders with `load.json` in them or below, joined by commas",
    "load compare b": "the runs after",
    "organisations create name": "what people call it",
    "users create email": "their address, by which they sign in",
}


def commands() -> dict[str, click.Command]:
    """The subcommands that this distribution registers, by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = {}
    for name, place in sorted(project["entry-points"]["textbank.commands"].items()):
        module, _, attribute = place.partition(":")
        found[name] = getattr(importlib.import_module(module), attribute)
    return found


def leaves() -> Iterator[tuple[str, click.Command]]:
    """(name, command) of everything that can be run: `keys create` is one."""
    for name, command in commands().items():
        yield from _leaves(name, command)


def _leaves(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for inner, each in sorted(command.commands.items()):
            yield from _leaves(f"{name} {inner}", each)
    else:
        yield name, command


def command_line() -> str:
    """A section for each command that can be run."""
    return "\n\n".join(_section(name, command) for name, command in leaves())


def _section(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"textbank {name}", **command.context_settings)
    usage = command.get_usage(context).removeprefix("Usage: ")
    rows = [_flag(name, each, context) for each in command.get_params(context)]
    words = " ".join((command.help or "").split())
    return f"### {name}\n\n    {usage}\n\n{words}\n\n{table(('flag', 'meaning', 'default'), rows)}"


def _flag(command: str, parameter: click.Parameter, context: click.Context) -> tuple[str, str, str]:
    if isinstance(parameter, click.Argument):
        own = str(parameter.name)
        meaning = ARGUMENTS.get(f"{command} {own}") or ARGUMENTS[own]
        return code(parameter.make_metavar(context)), meaning, code(_real(str(parameter.default)))
    assert isinstance(parameter, click.Option)
    names = ", ".join((*parameter.secondary_opts, *parameter.opts))
    metavar = "" if parameter.is_flag else f" {parameter.make_metavar(context).replace('INTEGER RANGE', 'N')}"
    shown = "" if parameter.is_flag or parameter.default is None else str(parameter.default)
    meaning, _, told = (parameter.help or "").partition("  [default: ")
    return code(f"{names}{metavar}"), meaning, code(told.rstrip("]") or _real(shown))


def _real(default: str) -> str:
    return "" if "UNSET" in default.upper() or default == "None" else default
