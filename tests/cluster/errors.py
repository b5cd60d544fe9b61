"""The errors of the embedded cluster.

Every error that reaches a person says what was wanted, what was found and what to do about it. Invariant: whatever a
command of this package cannot do ends in a `ClusterError`, never in a half-told traceback of `subprocess`.
"""

from __future__ import annotations


class ClusterError(Exception):
    """The embedded cluster cannot do what was asked.

    Args:
        message: What failed, with the names and values that matter.
        remedy: What the reader can do about it.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message}. {remedy}" if remedy else message)


class BinaryUnavailableError(ClusterError):
    """No source could give one of the programs that the cluster is made of."""


class HostPackageError(ClusterError):
    """The host lacks a package, and it cannot be installed from here."""


class DownloadError(ClusterError):
    """A download failed, or its checksum differs from the published one."""


class BuildError(ClusterError):
    """A program could not be built from its pinned module."""


class CommandError(ClusterError):
    """A command ended with a non-zero status, or did not end in time."""


class NotReadyError(ClusterError):
    """Something that was started did not become ready in time."""


class NotRunningError(ClusterError):
    """The cluster is not running."""
