"""Running other programs.

One function that runs a command to its end and turns every way to fail (missing, non-zero, too slow) into a
`CommandError` with the command's own words. Invariant: a command's output is captured, never mixed into ours.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster.errors import CommandError

OUTPUT_TAIL_CHARACTERS = 2000


def run(
    arguments: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    timeout_seconds: float = 120.0,
) -> str:
    """Runs a command and returns its standard output.

    Args:
        arguments: The program and its arguments; no shell is involved.
        env: The whole environment; the caller's own when absent.
        cwd: Working directory.
        stdin: Text for its standard input, which is empty when absent.
        timeout_seconds: After this long the command is killed.

    Raises:
        CommandError: It could not be started, ended with a non-zero status, or did not end in time.
    """
    words = [str(argument) for argument in arguments]
    told = shlex.join(words)
    if len(told) > 300:
        told = told[:300] + " ..."
    try:
        completed = subprocess.run(
            words,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise CommandError(f"cannot run {words[0]!r}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"`{told}` did not end within {timeout_seconds:.0f} s") from error
    if completed.returncode != 0:
        said = (completed.stderr.strip() or completed.stdout.strip())[-OUTPUT_TAIL_CHARACTERS:]
        raise CommandError(f"`{told}` ended with status {completed.returncode}: {said}")
    return completed.stdout


def succeeds(arguments: Sequence[str | Path], *, timeout_seconds: float = 60.0) -> bool:
    """Tells whether a command ends with status 0."""
    try:
        run(arguments, timeout_seconds=timeout_seconds)
    except CommandError:
        return False
    return True
