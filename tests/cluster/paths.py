"""Where the embedded cluster keeps things: the cache outside the checkout, and one state folder per cluster.

Invariant: nothing is written outside the cache, apart from the kernel objects that `network` and `node` name, so that
removing the state folder and those objects removes the cluster.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from tests.cluster.errors import ClusterError

CHECKOUT = Path(__file__).resolve().parents[2]
TOOLS = Path(__file__).resolve().parent / "tools"

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


def cache_dir() -> Path:
    """`$BALLAST_CACHE`, else `$XDG_CACHE_HOME/ballast`, else `~/.cache/ballast`; shared by all checkouts."""
    named = os.environ.get("BALLAST_CACHE")
    if named:
        return Path(named).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ballast"


def cluster_name(checkout: Path = CHECKOUT) -> str:
    """`$BALLAST_CLUSTER`, else `ballast-` and six hexadecimal digits of the checkout's path.

    Raises:
        ClusterError: The name is not a DNS label of at most 40 characters.
    """
    name = os.environ.get("BALLAST_CLUSTER")
    if not name:
        digest = hashlib.sha256(str(checkout).encode()).hexdigest()
        name = f"ballast-{digest[:6]}"
    if not _NAME.fullmatch(name):
        raise ClusterError(
            f"the cluster name {name!r} is not a DNS label of at most 40 characters",
            remedy="Set BALLAST_CLUSTER to lower-case letters, digits and dashes",
        )
    return name


def clusters_dir() -> Path:
    """The folder of all clusters' state folders."""
    return cache_dir() / "clusters"
