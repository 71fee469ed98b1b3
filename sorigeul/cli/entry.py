"""Entry point of `sorigeul`: runs a command, and turns errors into one line and an exit status.

Each command imports what it needs when it runs, so that `sorigeul --help` does not wait for torch.
"""

import difflib
import errno
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress

from sorigeul.base.errors import UserError
from sorigeul.base.printable import printable
from sorigeul.base.streams import prepare_streams
from sorigeul.base.threads import set_threads
from sorigeul.cli.align import align
from sorigeul.cli.arguments import parse_and_run
from sorigeul.cli.compare import compare
from sorigeul.cli.data import data
from sorigeul.cli.evaluate import evaluate
from sorigeul.cli.export import export
from sorigeul.cli.hub import card, push
from sorigeul.cli.label import label
from sorigeul.cli.language_model import language_model
from sorigeul.cli.listen import listen
from sorigeul.cli.prepare import prepare
from sorigeul.cli.recipe import recipe
from sorigeul.cli.recognize import transcribe
from sorigeul.cli.serve import serve
from sorigeul.cli.splice import splice
from sorigeul.cli.tools import bench, doctor, info
from sorigeul.cli.train import train
from sorigeul.cli.tune import tune

log = logging.getLogger("sorigeul")

COMMANDS: dict[str, Callable[..., None]] = {
    "prepare": prepare,
    "data": data,
    "train": train,
    "tune": tune,
    "evaluate": evaluate,
    "compare": compare,
    "transcribe": transcribe,
    "listen": listen,
    "align": align,
    "label": label,
    "splice": splice,
    "serve": serve,
    "export": export,
    "card": card,
    "push": push,
    "info": info,
    "bench": bench,
    "doctor": doctor,
    "lm": language_model,
    "recipe": recipe,
}

# Their defaults depend on the arguments, or they have commands of their own.
_PARSE_THEMSELVES = ("train", "doctor", "lm", "data", "recipe")


_WRONG_PLACE = {
    *(errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.ENOENT),
}
"""errors of the system that another path mends"""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_OF_TRAINING = (
    *("koreanize_matplotlib", "lhotse", "lightning_fabric", "matplotlib", "safetensors"),
    *("tensorboard", "torch", "torchdata"),
)
_PACKAGES = {
    **dict.fromkeys(_OF_TRAINING, "'sorigeul[train]'"),
    **dict.fromkeys(("onnx", "onnxruntime"), "sorigeul"),
}
"""what brings a library that is missing: those of the extra `train`, without which models only
recognise, on a CPU; and those that a checkout may not have yet"""
_LONGEST, _LONGEST_END = 2_000, 500
"""characters of an error or a warning, and of its end, where the remedy stands"""


def _overview() -> str:
    """Help of `sorigeul` itself: the first line of each command's docstring."""
    summaries = {name: command.__doc__ or "" for name, command in COMMANDS.items()}
    lines = [f"  {name:<12}{text.splitlines()[0]}" for name, text in summaries.items()]
    return (
        "usage: sorigeul COMMAND …\n\nKorean speech recognition with Listen, Attend and Spell.\n\n"
        + "\n".join(lines)
        + "\n\n'sorigeul COMMAND --help' explains a command. Every command takes --threads N, how\n"
        "many threads its arithmetic uses, and --debug, which shows where an error arose."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command, by default that of the command line; return if it succeeds.

    Otherwise exit with status 2 if the user asked for something wrong, 130 if interrupted, and 1
    for any other fault.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    prepare_streams()
    _log_to_standard_error()
    try:
        _refuse_removed_working_directory()
        _run(_without_threads([argument for argument in arguments if argument != "--debug"]))
        sys.stdout.flush()
    except UserError as error:
        sys.exit(_fail(str(error), 2, debug))
    except BrokenPipeError:  # the reader of our output has closed it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(_fail("interrupted", 130, debug))
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if package := _PACKAGES.get(library):
            message = f"this needs {library}, which is not installed: pip install {package}"
            sys.exit(_fail(message, 2, debug))
        sys.exit(_fail(f"unexpected {type(error).__name__}: {error}", 1, debug))
    except MemoryError:
        sys.exit(_fail("the memory of this machine is full: let other programs end", 1, debug))
    except OSError as error:
        if error.errno in _WRONG_PLACE:
            message = f"{error.filename}: {error.strerror}; choose another place"
            sys.exit(_fail(message, 2, debug))
        place = f"{error.filename}: " if error.filename else ""
        remedy = "; make room, and give the same command again" if error.errno in _FULL else ""
        sys.exit(_fail(f"{place}{error.strerror or error}{remedy}", 1, debug))
    except Exception as error:  # noqa: BLE001  (no traceback without --debug)
        reason = " ".join(str(error).split())
        message = f"unexpected {type(error).__name__}: {reason} (--debug shows where)"
        sys.exit(_fail(message, 1, debug))


def _run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("--help", "-h"):
        print(_overview())
        return
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(version("sorigeul"))
        return
    name, *rest = arguments
    if name not in COMMANDS:
        similar = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"perhaps {similar[0]}" if similar else f"there are {', '.join(COMMANDS)}"
        raise UserError(f"'{name}' is no command; {hint}")
    if name in _PARSE_THEMSELVES:
        COMMANDS[name](rest)
    else:
        parse_and_run(COMMANDS[name], name, rest)


def _without_threads(arguments: list[str]) -> list[str]:
    """Set the threads that `--threads N` asks for; return the other arguments."""
    for position, argument in enumerate(arguments):
        option, equals, count = argument.partition("=")
        if option == "--threads":
            after = position + 1 if equals else position + 2
            set_threads(count if equals else "".join(arguments[position + 1 : after]))
            return arguments[:position] + arguments[after:]
    return arguments


def _refuse_removed_working_directory() -> None:
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UserError("the working directory has been removed: change to another") from None


def _fail(message: str, status: int, debug: bool) -> int:
    """Print an error, with its traceback if `debug`; return the exit status."""
    with suppress(OSError):  # nobody reads standard error any more
        if debug:
            traceback.print_exc()
        print(f"error: {_line(message)}", file=sys.stderr, flush=True)
    return status


def _line(message: str) -> str:
    """A message as a line of standard error; what was given, or stood in a file, may be long."""
    message = printable(message)
    if len(message) <= _LONGEST:
        return message
    return f"{message[: _LONGEST - _LONGEST_END]} … {message[-_LONGEST_END:]}"


def _log_to_standard_error() -> None:
    """Print what the package logs, a line each; the logs of libraries stay silent."""

    class LineFormatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            prefix = "warning: " if record.levelno >= logging.WARNING else ""
            return prefix + _line(record.getMessage())

    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
    # Without a handler their warnings would be printed: by Matplotlib if there is no home folder.
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())
