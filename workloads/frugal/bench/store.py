"""A bench's results on disk: a header, and a line of JSON for each trial and each failure.

- ``environment.json``: what it runs on and with, written before the first trial;
- ``trials.jsonl``: only ever appended to, each case's trials in one write that reaches the disk before the next begins;
- ``failures.jsonl``: of the latest attempt, since what failed is tried again when the bench goes on.

What must hold: whenever the process is killed, what was written is used and nothing stands twice. A torn last line is
cut off; a folder has one writer at a time; results of another plan or machine are never added to.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType

from frugal.bench.environment import Environment
from frugal.bench.records import Phase, Trial
from frugal.errors import DataError

HEADER = "environment.json"
TRIALS = "trials.jsonl"
FAILURES = "failures.jsonl"

Key = tuple[str, Phase, int]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A case that could not be run with a seed, and why."""

    case: str
    seed: int
    message: str


class Store:
    """The folder of one bench, open for writing; a context manager.

    Args:
        folder: Made if it is not there.
        environment: Of this attempt.

    Raises:
        DataError: Another bench writes there, its results are of something else, or it cannot be used.
    """

    def __init__(self, folder: Path, environment: Environment) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / TRIALS).open("a+b")
        except OSError as error:
            raise DataError(f"--out {folder}: {error.strerror}; name a folder that can be written to") from error
        try:
            self._lock()
            self.environment = self._agree(environment)
            self._cut_torn_line()
            self.trials = read_trials(folder)
            (folder / FAILURES).unlink(missing_ok=True)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    @property
    def keys(self) -> set[Key]:
        """What is there already."""
        return {trial.key for trial in self.trials}

    def add(self, trials: Sequence[Trial]) -> None:
        """Keep those that are not there yet."""
        keys = self.keys
        new = [trial for trial in trials if trial.key not in keys]
        self._file.write("".join(f"{trial.to_json()}\n" for trial in new).encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self.trials.extend(new)

    def add_failure(self, failure: Failure) -> None:
        """Keep it until the next attempt."""
        with (self._folder / FAILURES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(failure)) + "\n")

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel drops it when the process ends
        except BlockingIOError:
            raise DataError(
                f"--out {self._folder}: another frugal bench is writing there; wait for it or name another folder"
            ) from None

    def _agree(self, now: Environment) -> Environment:
        path = self._folder / HEADER
        before = read_environment(self._folder)
        if not (self._folder / TRIALS).stat().st_size:
            agreed = now  # a header alone, of an attempt in which nothing succeeded, binds nobody
        elif before is None:
            raise DataError(f"{path} is missing, but there are trials; put it back or name another folder")
        else:
            different = before.differences(now)
            if different:
                raise DataError(
                    f"--out {self._folder} holds results that cannot be compared with new ones: {', '.join(different)} "
                    "changed; name another folder, or undo the change"
                )
            agreed = replace(before, commits=tuple(dict.fromkeys([*before.commits, *now.commits])))
        if agreed != before:
            temporary = path.with_suffix(".new")
            temporary.write_text(json.dumps(agreed.to_json_object(), indent=2) + "\n", encoding="utf-8")
            temporary.replace(path)
        return agreed

    def _cut_torn_line(self) -> None:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._file.truncate(whole)


def read_trials(folder: Path) -> list[Trial]:
    """The trials in ``folder``, in the order of their running; none if there is no such file.

    Raises:
        DataError: A line is not a trial.
    """
    path = folder / TRIALS
    if not path.exists():
        return []
    trials = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            continue  # torn, or being written
        try:
            trials.append(Trial.from_json(line.decode()))
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{path}, line {number}: not a trial ({error}); remove that line") from error
    return trials


def read_environment(folder: Path) -> Environment | None:
    """The header in ``folder``; None if there is none.

    Raises:
        DataError: It is not one.
    """
    path = folder / HEADER
    try:
        return Environment.from_json_object(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: not a bench's header ({error}); name another folder") from error
