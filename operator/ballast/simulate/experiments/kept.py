"""The folder in which an experiment keeps what each arm came to, so that one that was interrupted can go on.

What must hold: what is read back is what was kept, to the last digit; a seed of a case counts as done only once all of
its arms were compared; and figures of two versions, of two sets of data or of two experiments never stand side by
side: a folder belongs to one identity and is refused to another.

    identity.json                     what the results are of: hashes of experiment, data and code, versions
    CASE/seed-N.json                  sums and power over time of all arms of a seed
    CASE/jobs/POLICY-seed-N.csv.gz    what became of each job
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from ballast.errors import UserError
from ballast.simulate.comparison.arms import Compared
from ballast.simulate.comparison.comparison import ArmResult, PowerSeries
from ballast.simulate.engine.outcome import JobRow, Summary
from ballast.simulate.report.report import jobs_csv

IDENTITY: Final = "identity.json"
JOBS: Final = "jobs"
_LIBRARIES = ("numpy", "scipy")
_COMPUTES = ("api", "decide", "observe", "simulate")
"""Parts of the package that an arm's figures come from ..."""
_SHOWS = ("simulate/report", "simulate/command.py", "simulate/experiments/command.py", "simulate/experiments/report.py")
"""... and what only shows them, so that a drawing may be mended without running all again."""

_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "str": str,
    "float": float,
    "int": int,
    "bool": lambda text: text == "true",
    "float | None": lambda text: float(text) if text else None,
    "bool | None": lambda text: text == "true" if text else None,
}


class Kept:
    """What is done of an experiment.

    Args:
        folder: Made if it is not there.
        identity: See `identity_of`.

    Raises:
        UserError: The folder cannot be written to, or holds results of something else.
    """

    def __init__(self, folder: Path, identity: Mapping[str, str]) -> None:
        self.folder = folder
        self.identity = dict(identity)
        path = folder / IDENTITY
        try:
            folder.mkdir(parents=True, exist_ok=True)
            found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
            if found is None:
                _write(path, json.dumps(self.identity, indent=1) + "\n")
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: {error}: name a folder that can be written to and holds nothing else") from error
        if found is not None and found != self.identity:
            others = sorted(name for name in found.keys() | identity.keys() if found.get(name) != identity.get(name))
            raise UserError(
                f"{folder}: holds results with another {', '.join(others)}, which cannot stand beside new ones: name"
                " another folder, or remove this one"
            )

    def add_jobs(self, case: str, policy: str, seed: int, jobs: Sequence[JobRow]) -> None:
        """Keep the jobs of an arm that is done."""
        path = self._jobs(case, policy, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        # No time of writing in it: the same rows are the same file.
        _write(path, gzip.compress(jobs_csv(policy, seed, jobs).encode(), mtime=0))

    def add(self, case: str, compared: Compared) -> None:
        """Keep the sums of all arms of a seed; their jobs must have been kept before."""
        arms = [
            {"summary": asdict(arm.summary), "reference": arm.reference, "power": asdict(arm.power)}
            for arm in compared.arms
        ]
        _write(self._sums(case, compared.seed), json.dumps({"arms": arms, "same": compared.same}, allow_nan=False))

    def has(self, case: str, seed: int, policies: Sequence[str]) -> bool:
        """Whether exactly these arms of a seed are kept."""
        path = self._sums(case, seed)
        if not path.exists():
            return False
        kept = [arm["summary"]["policy"] for arm in json.loads(path.read_text(encoding="utf-8"))["arms"]]
        return kept == [*policies] and all(self._jobs(case, policy, seed).exists() for policy in policies)

    def read(self, case: str, seed: int, *, with_jobs: bool = False) -> Compared:
        """All arms of a seed that `has` says is kept.

        Args:
            case: Its folder.
            seed: Theirs.
            with_jobs: Read the jobs' rows too: they are many.
        """
        document = json.loads(self._sums(case, seed).read_text(encoding="utf-8"))
        arms = []
        for kept in document["arms"]:
            power = PowerSeries(kept["power"]["span_seconds"], tuple(kept["power"]["watts"]))
            arms.append(ArmResult(Summary(**kept["summary"]), kept["reference"], (), power))
        if with_jobs:
            arms = [replace(arm, jobs=self._read_jobs(case, arm.summary.policy, seed)) for arm in arms]
        return Compared(seed, tuple(arms), tuple(tuple(group) for group in document["same"]))

    def _read_jobs(self, case: str, policy: str, seed: int) -> tuple[JobRow, ...]:
        text = gzip.decompress(self._jobs(case, policy, seed).read_bytes()).decode()
        readers = {field.name: _READERS[str(field.type)] for field in fields(JobRow)}
        return tuple(
            JobRow(**{name: read(cells[name]) for name, read in readers.items()})
            for cells in csv.DictReader(io.StringIO(text, newline=""))
        )

    def _sums(self, case: str, seed: int) -> Path:
        return self.folder / case / f"seed-{seed}.json"

    def _jobs(self, case: str, policy: str, seed: int) -> Path:
        return self.folder / case / JOBS / f"{policy}-seed-{seed}.csv.gz"


def identity_of(experiment: Path, data: Path, folders: Sequence[str]) -> dict[str, str]:
    """What decides an experiment's figures, by name: hashes of files, versions of what computes.

    Args:
        experiment: Its file.
        data: Folder of its data.
        folders: Those in it that are used; every file in them counts.
    """
    package = Path(str(files("ballast")))
    code = [path for part in _COMPUTES for path in (package / part).rglob("*.py")]
    shows = [package / part for part in _SHOWS]
    code = [path for path in code if not any(path == part or part in path.parents for part in shows)]
    return {
        "experiment": _hash([experiment], experiment.parent),
        "data": _hash([path for name in folders for path in (data / name).rglob("*") if path.is_file()], data),
        "code": _hash(code, package),
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
    }


def _hash(paths: Iterable[Path], folder: Path) -> str:
    """Of files' names below a folder, and what they hold."""
    found = hashlib.sha256()
    for path in sorted(paths):
        found.update(f"{path.relative_to(folder).as_posix()}\n".encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]


def _write(path: Path, content: str | bytes) -> None:
    """Write a file that is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(content.encode() if isinstance(content, str) else content)
    beside.replace(path)
