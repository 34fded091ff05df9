"""What the commands that train have in common: one sentence for an error, and the command line for a card."""

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rlpips.parallel import leave


@contextmanager
def exit_on_errors(after_interrupt: Callable[[], str]) -> Iterator[None]:
    """Exit with one sentence on stderr: with status 2 for a wrong input or a file that cannot be read or written, 1 for a
    training whose loss is not finite, and 130 for Ctrl-C. `after_interrupt` says how the same command continues then."""
    try:
        yield
    except (ValueError, OSError) as error:
        _exit(str(error), 2)
    except FloatingPointError as error:
        _exit(str(error), 1)
    except KeyboardInterrupt:
        _exit(f"Interrupted; {after_interrupt()}.", 130)
    finally:
        leave()


def _exit(text: str, status: int) -> None:
    print(text, file=sys.stderr)
    sys.exit(status)


def command_line(command: str, options: Mapping[str, Any]) -> str:
    """`command` with the options that are not None, for a shell; a list gives an option several values."""
    parts = (
        f"--{name.replace('_', '-')} {shlex.join(map(str, value if isinstance(value, list) else [value]))}"
        for name, value in options.items()
        if value is not None
    )
    return " ".join([f"python -m {command}", *parts])
