"""As whom, and to which cluster, this process speaks: a pod's service account, or else a kubeconfig.

What must hold: who names a kubeconfig or a context gets that one, also in a pod; what cannot be used is a `UserError`
that says which file it was.
"""

from __future__ import annotations

import os
from pathlib import Path

from kubernetes.aio import config
from kubernetes.aio.client import Configuration
from kubernetes.aio.config.incluster_config import SERVICE_TOKEN_FILENAME

from ballast.errors import UserError

DEFAULT_NAMESPACE = "default"


async def configuration(file: str | None = None, context: str | None = None) -> Configuration:
    """Return how the API server is reached.

    Args:
        file: the kubeconfig; None for the one that `KUBECONFIG` names, or `~/.kube/config`.
        context: of the kubeconfig; None for its current one.

    Raises:
        UserError: there is no service account and no usable kubeconfig.
    """
    found = Configuration()
    try:
        if _is_service_account(file, context):
            config.load_incluster_config(client_configuration=found)  # type: ignore[no-untyped-call]
        else:
            await config.load_kube_config(_path(file), context, client_configuration=found)  # type: ignore[no-untyped-call]
    except config.ConfigException as error:
        raise _no_cluster(file, error) from error
    return found


def namespace(file: str | None = None, context: str | None = None) -> str:
    """Return the namespace of whoever asks: the pod's, or else the context's.

    Args:
        file: see `configuration`.
        context: see there.

    Raises:
        UserError: there is no service account and no usable kubeconfig.
    """
    if _is_service_account(file, context):
        return Path(SERVICE_TOKEN_FILENAME).with_name("namespace").read_text().strip() or DEFAULT_NAMESPACE
    try:
        contexts, chosen = config.list_kube_config_contexts(_path(file))  # type: ignore[no-untyped-call]
    except config.ConfigException as error:
        raise _no_cluster(file, error) from error
    if context is not None:
        chosen = next((each for each in contexts if each["name"] == context), {})
    return chosen.get("context", {}).get("namespace") or DEFAULT_NAMESPACE


def in_cluster() -> bool:
    """Return whether this process runs in a pod with a service account."""
    return Path(SERVICE_TOKEN_FILENAME).exists()


def _is_service_account(file: str | None, context: str | None) -> bool:
    return file is None and context is None and in_cluster()


def _path(file: str | None) -> str | None:
    return file or os.environ.get("KUBECONFIG")  # the package reads it only once, when it is imported


def _no_cluster(file: str | None, error: Exception) -> UserError:
    if file is not None:
        return UserError(f"--kubeconfig {file} cannot be used: {error}; name a kubeconfig that kubectl works with")
    where = os.environ.get("KUBECONFIG", "~/.kube/config")
    return UserError(
        f"no cluster to connect to: this is no pod with a service account, and KUBECONFIG ({where}) cannot be used:"
        f" {error}; set KUBECONFIG to a kubeconfig that kubectl works with"
    )
