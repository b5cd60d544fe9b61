"""A bench says which code it ran: the commit, and whether files differ from it."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import numpy

from frugal.bench.environment import checkout, cpu_name, versions

WHO = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false"]


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *WHO, "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commit_is_told_and_marked_if_files_differ_from_it(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    assert checkout(package) is None
    git(tmp_path, "init", "--quiet")
    (package / "module.py").write_text("one\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "elsewhere.txt").write_text("does not matter\n")
    assert checkout(package) == commit
    (package / "module.py").write_text("two\n")
    assert checkout(package) == f"{commit} with local changes"


def test_a_package_below_somebody_elses_checkout_has_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("site-packages\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    installed = tmp_path / "site-packages" / "frugal"
    installed.mkdir(parents=True)
    assert checkout(installed) is None


def test_the_processor_names_itself(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: Another\n")
    assert cpu_name(tmp_path / "cpuinfo") == "Some CPU @ 2 GHz"
    assert cpu_name(tmp_path / "nothing") == platform.machine()


def test_only_libraries_that_are_installed_have_a_version() -> None:
    assert versions(["numpy", "no-such-library"]) == {"numpy": numpy.__version__}
