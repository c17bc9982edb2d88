"""The manual page `textbank(1)`, from click."""

import re

import click

from docs.generate.command_line import leaves

_STATUS = (
    ("0", "all is well; of a rehearsal: every rule held, whatever the verdict"),
    ("1", "a rule was broken; of reconcile: the books and the provider differ"),
    ("2", "bad input"),
    ("3, 4", "of a rehearsal with --strict: NO-GO; a rule was not tested"),
    ("70", "a defect of ours"),
    ("129, 130, 141, 143", "SIGHUP, Ctrl-C, a reader who left, SIGTERM"),
)


def manual() -> str:
    """The page in man(7)."""
    lines = [
        '.TH TEXTBANK 1 "" "textbank" "User commands"',
        ".SH NAME",
        "textbank \\- send and receive a campaign's texts, or rehearse a whole text bank first",
        ".SH SYNOPSIS",
        ".B textbank",
        "[\\-\\-debug] COMMAND [OPTIONS]",
        ".SH COMMANDS",
    ]
    for name, command in leaves():
        lines += _command(name, command)
    lines.append(".SH EXIT STATUS")
    for status, meaning in _STATUS:
        lines += [".TP", f".B {status}", _text(meaning)]
    lines += [".SH ENVIRONMENT", ".TP", ".B TEXTBANK_CONFIG"]
    lines.append(
        "Settings files with ':' between; the later wins. Every setting has a variable of its own as well."
    )
    return "\n".join(lines) + "\n"


def _command(name: str, command: click.Command) -> list[str]:
    context = click.Context(command, info_name=f"textbank {name}", **command.context_settings)
    usage = command.get_usage(context).removeprefix("Usage: ")
    lines = [f".SS {name}", f".B {_text(usage)}", ".PP", _text(command.help or "")]
    for option in command.get_params(context):
        record = option.get_help_record(context)
        if record is not None:
            lines += [".TP", f".B {_text(record[0])}", _text(record[1])]
    return lines


def _text(text: str) -> str:
    """One line that roff takes as it is."""
    plain = re.sub(r"\s+", " ", text).strip().replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain
