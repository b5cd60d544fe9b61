"""Debian packages: unpacked into the cache where one program is wanted, installed where the host itself needs a tool.

Unpacking needs no root and starts no service. Installing happens only for the few tools that cannot be had otherwise
(`iptables` loads its matches from fixed folders), as root, and says so. Invariant: nothing is ever removed or upgraded.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.catalogue import Program
from tests.cluster.commands import run
from tests.cluster.errors import BinaryUnavailableError, CommandError, HostPackageError
from tests.cluster.progress import say, step

#: Commands that the host must have for a real node, and the Debian package of each.
REAL_NODE_COMMANDS: Mapping[str, str] = {
    "ip": "iproute2",
    "iptables": "iptables",
    "iptables-save": "iptables",
    "mount": "mount",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "unshare": "util-linux",
}

_SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"


def find_command(command: str) -> str | None:
    """A command on `PATH`, or in the system's own folders, which an unprivileged `PATH` often lacks."""
    return shutil.which(command) or shutil.which(command, path=_SYSTEM_FOLDERS)


def ensure_host_commands(commands: Mapping[str, str]) -> None:
    """Makes sure that the host has some commands; installs their Debian packages where it can.

    Args:
        commands: Each command and the package that holds it.

    Raises:
        HostPackageError: A command is missing and cannot be installed from here.
    """
    missing = {command: package for command, package in commands.items() if find_command(command) is None}
    if not missing:
        return
    packages = sorted(set(missing.values()))
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise HostPackageError(
            f"the host lacks {', '.join(sorted(missing))}",
            remedy=f"Install {' '.join(packages)} with the system's package manager",
        )
    say(f"installing Debian packages on this host: {' '.join(packages)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-qq", "--yes", "--no-install-recommends", *packages]
    try:
        with step(f"apt-get install {' '.join(packages)}", estimate_seconds=15):
            try:
                run(install, env=env, timeout_seconds=600)
            except CommandError:  # the lists are missing or too old
                run(["apt-get", "update", "-qq"], env=env, timeout_seconds=600)
                run(install, env=env, timeout_seconds=600)
    except CommandError as error:
        raise HostPackageError(
            f"apt-get could not install {' '.join(packages)}: {error.message}", remedy="Install them by hand"
        ) from error
    still = sorted(command for command in missing if find_command(command) is None)
    if still:
        raise HostPackageError(f"apt-get installed {' '.join(packages)}, but {', '.join(still)} is still missing")


def unpack_program(program: Program, target: Path) -> str:
    """Takes a program out of its Debian package without installing the package.

    Returns:
        The package it came from.

    Raises:
        BinaryUnavailableError: There is no package for it, no apt, or the package cannot be fetched.
    """
    package = program.debian
    if package is None:
        raise BinaryUnavailableError(f"{program.name} is not taken from a Debian package here")
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise BinaryUnavailableError(
            f"{program.name} comes from the Debian package {package.package}, and this host has no apt",
            remedy=f"Install {program.name} with the system's package manager",
        )
    with unpacked(package.package, target.parent) as (root, archive_name):
        source = root / package.member
        if not source.is_file():
            raise BinaryUnavailableError(f"{archive_name} holds no {package.member}")
        part = root / ".program"
        shutil.copy2(source, part)
        part.chmod(0o755)
        part.rename(target)
        return f"Debian package {archive_name}"


@contextmanager
def unpacked(package: str, parent: Path) -> Iterator[tuple[Path, str]]:
    """Downloads a Debian package and unpacks it into a temporary folder.

    Args:
        package: Name of the package.
        parent: Folder of the temporary folder.

    Yields:
        The root of the package's files, and the archive's file name.

    Raises:
        BinaryUnavailableError: The package cannot be fetched.
    """
    with tempfile.TemporaryDirectory(dir=parent, prefix=".unpack-") as folder:
        work = Path(folder)
        try:
            with step(f"unpacking the Debian package {package}", estimate_seconds=5):
                _download(package, work)
                archive = next(work.glob("*.deb"))
                run(["dpkg-deb", "-x", archive, work / "root"])
        except (CommandError, StopIteration) as error:
            raise BinaryUnavailableError(f"the Debian package {package} cannot be fetched: {error}") from error
        yield work / "root", archive.name


def _download(package: str, folder: Path) -> None:
    command = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", package]
    try:
        run(command, cwd=folder, timeout_seconds=300)
    except CommandError:
        if os.geteuid() != 0:
            raise
        run(["apt-get", "update", "-qq"], timeout_seconds=300)
        run(command, cwd=folder, timeout_seconds=300)
