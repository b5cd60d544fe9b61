"""The folder that a simulation leaves: each arm's jobs as soon as it is done, and everything else at the end.

What must hold: no file of an earlier simulation stays beside those of this one as if it were of this one, nothing
else in the folder is touched, and a file is there whole or not at all. The same simulation leaves the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ballast.errors import UserError
from ballast.simulate.engine.outcome import JobRow
from ballast.simulate.report import report as reports
from ballast.simulate.report.report import Report

TABLE = "table.txt"
JSON = "results.json"
ARMS = "arms.csv"
PAGE = "report.html"
JOBS = "jobs"


class Results:
    """Where results go.

    Args:
        folder: Made if it is not there.

    Raises:
        UserError: It cannot be made or written to; so do all methods.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with self._errors_told():
            (folder / JOBS).mkdir(parents=True, exist_ok=True)
            _write(folder / TABLE, "")

    def clear(self, policies: Sequence[str]) -> None:
        """Remove what an earlier simulation left here.

        Args:
            policies: Names of all that could have been simulated.
        """
        from ballast.simulate.report import plots

        drawings = [f"{name}.{suffix}" for name in plots.DRAWINGS for suffix in plots.FORMATS]
        with self._errors_told():
            for name in (TABLE, JSON, ARMS, PAGE, *drawings):
                (self.folder / name).unlink(missing_ok=True)
            for policy in policies:
                for path in (self.folder / JOBS).glob(f"{policy}-seed-*.csv"):
                    path.unlink()

    def add_jobs(self, policy: str, seed: int, jobs: Sequence[JobRow]) -> None:
        """Keep the jobs of an arm that is done."""
        with self._errors_told():
            _write(self.folder / JOBS / f"{policy}-seed-{seed}.csv", reports.jobs_csv(policy, seed, jobs))

    def write(self, report: Report, banner: str = "") -> None:
        """Write table, JSON, sums, drawings and page.

        Args:
            report: With one section.
            banner: See `ballast.simulate.report.html.page`.
        """
        from ballast.simulate.report import html, plots

        (section,) = report.sections
        arms = [arm for entry in section.comparison.entries for arm in entry.arms]
        with self._errors_told():
            _write(self.folder / TABLE, reports.render(report))
            _write(self.folder / JSON, reports.as_json(report))
            _write(self.folder / ARMS, reports.arms_csv(arms))
            _write(self.folder / PAGE, html.page(report, banner))
            plots.save(section.comparison, self.folder)

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            remedy = "name a folder that can be written to and has room"
            raise UserError(f"--out {self.folder}: {error.strerror or error}: {remedy}") from error


def _write(path: Path, text: str) -> None:
    """Write beside it and rename, so that an interrupt leaves no half file."""
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
