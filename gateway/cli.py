"""The `textbank` command: finds its subcommands, parses their arguments, and nothing else."""

import errno
import io
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points

import click

from gateway import streams
from gateway.core.rules.errors import BadInput

COMMANDS = "textbank.commands"
"""The entry-point group in which a distribution registers its subcommands."""

COMPLETION = "_TEXTBANK_COMPLETE"
"""The shell's way to ask for completions, as click has it: bash_source, zsh_source, fish_source."""

BAD_INPUT = 2
DEFECT = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED = 130
READER_LEFT = 141  # 128 + SIGPIPE, as the shell has it
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a full disk, a quota, a limit of the shell's


class Commands(click.Group):
    """A group whose commands are the entry points of `textbank.commands`, loaded when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({entry.name for entry in self._registered()} | set(super().list_commands(ctx)))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for entry in self._registered():
            if entry.name == cmd_name:
                return self._load(entry)
        return super().get_command(ctx, cmd_name)

    def _registered(self) -> list[EntryPoint]:
        return sorted(entry_points(group=COMMANDS), key=lambda entry: (entry.name, entry.value))

    def _load(self, entry: EntryPoint) -> click.Command:
        """One broken plug-in must not take the help of the others with it."""
        try:
            command = entry.load()
        except (ImportError, AttributeError) as reason:  # the module, or the name in it, is not there
            return _unavailable(entry, str(reason))
        if isinstance(command, click.Command):
            return command
        return _unavailable(entry, "it is not a command")


def _unavailable(entry: EntryPoint, reason: str) -> click.Command:
    def refuse() -> None:
        raise BadInput(
            f"the command '{entry.name}' can't be loaded from {entry.value}",
            reason,
            "reinstall what provides it",
        )

    return click.Command(entry.name, callback=refuse, help=f"Not available: {reason}.", add_help_option=False)


@click.command(
    cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(None, "--version", package_name="textbank", message="textbank %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of a defect; may stand anywhere.")
@click.pass_context
def textbank(context: click.Context, debug: bool) -> None:
    """Send and receive a campaign's texts, or rehearse a whole text bank first.

    Each command explains itself: textbank COMMAND --help. The exit status is 0 when all is well, 1 when a rule is
    broken, 2 on bad input, 70 on a defect of ours, 130 when interrupted.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status: 0 done, 1 a rule broken, 2 bad input, 70 a defect of ours."""
    streams.make_usable()
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status.

    An error that carries `textbank_exit_status` (and BadInput) becomes one line on standard error: parts that may
    not import the gateway mark their own errors so.
    """
    _speak_any_language()
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    if instruction := os.environ.get(COMPLETION):
        from click.shell_completion import shell_complete

        return shell_complete(textbank, {}, "textbank", COMPLETION, instruction)
    try:
        return _invoked([word for word in words if word != "--debug"])
    except BrokenPipeError:
        return READER_LEFT
    except click.exceptions.NoArgsIsHelpError as asked:
        asked.show()
        return asked.exit_code
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever it is, one line and a status
        if debug:
            traceback.print_exc()
        return _complain(*(_trouble(error) or _no_room(error) or _defect(error)))


def _speak_any_language() -> None:
    """In a terminal that has no `…` it is a question mark, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() not in ("utf-8", "utf8"):
            stream.reconfigure(errors="replace")


def _invoked(words: list[str]) -> int:
    """Not click's own main(): it prints an empty line at an interrupt and ends the process at a broken pipe."""
    try:
        with textbank.make_context("textbank", words) as context:
            outcome = textbank.invoke(context)
    except click.exceptions.Exit as left:
        outcome = left.exit_code
    sys.stdout.flush()
    return outcome if isinstance(outcome, int) else 0


def _trouble(error: BaseException) -> tuple[str, int] | None:
    """What to say and the exit status, when the person at the keyboard can act on it."""
    match error:
        case click.UsageError():
            return f"{error.format_message()} {_where_to_look(error)}", error.exit_code
        case click.ClickException():
            return error.format_message(), error.exit_code
        case click.Abort() | KeyboardInterrupt():
            return "interrupted", INTERRUPTED
        case BadInput():
            return str(error), BAD_INPUT
        case _:
            status = getattr(error, "textbank_exit_status", None)
            return (str(error), status) if isinstance(status, int) else None


def _no_room(error: BaseException) -> tuple[str, int] | None:
    """A disk that is full: a temporary file's, or the one that standard output is sent to."""
    if not isinstance(error, OSError) or error.errno not in NO_ROOM:
        return None
    where = error.filename or ("standard output" if streams.output_is_stuck() else "a temporary file")
    return f"no room is left ({error.strerror}): {where}; make room, or write elsewhere", BAD_INPUT


def _defect(error: BaseException) -> tuple[str, int]:
    """What nobody at the keyboard can mend, in one line that helps whoever can."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{'/'.join(place.filename.split('/')[-3:])}:{place.lineno}"
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    return (
        f"this is a defect of ours ({what}): {where}; run it again with --debug, and report what it shows",
        DEFECT,
    )


def _where_to_look(error: click.UsageError) -> str:
    path = error.ctx.command_path if error.ctx else "textbank"
    return f"Try '{path} --help'."


def _complain(message: str, status: int) -> int:
    click.echo(f"textbank: {' '.join(message.split())}", err=True)
    return status
