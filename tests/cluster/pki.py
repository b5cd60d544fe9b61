"""Client certificates signed by the cluster's own authority.

A kubelet gets the identity that a kubelet has (`system:node:NAME` in `system:nodes`), so that the node authorizer and
admission see it as one; likewise kube-proxy. Invariant: nothing on a real node holds the admin's key.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import yaml

from tests.cluster.commands import run
from tests.cluster.debian_packages import find_command

VALID_DAYS = 365


def write_client_kubeconfig(
    target: Path, *, pki: Path, server: str, user: str, group: str = "", ca_name: str = "ca"
) -> None:
    """Issues a client certificate and writes a kubeconfig that uses it.

    Args:
        target: The kubeconfig; the certificate and key lie beside it.
        pki: Folder of the authority's certificate and key.
        server: The API server's address.
        user: The common name, which is the user's name.
        group: The organization, which is the user's group.
        ca_name: File name of the authority, without its suffix.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    key, certificate = target.with_suffix(".key"), target.with_suffix(".crt")
    request, extensions = target.with_suffix(".csr"), target.with_suffix(".ext")
    openssl = find_command("openssl") or "openssl"
    subject = (f"/O={group}" if group else "") + f"/CN={user}"
    extensions.write_text("keyUsage=digitalSignature\nextendedKeyUsage=clientAuth\n")
    # fmt: off
    run([
        openssl, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-keyout", key, "-subj", subject, "-out", request,
    ])
    run([
        openssl, "x509", "-req", "-in", request, "-CA", pki / f"{ca_name}.crt", "-CAkey", pki / f"{ca_name}.key",
        "-set_serial", f"0x{secrets.token_hex(16)}", "-days", str(VALID_DAYS), "-extfile", extensions,
        "-out", certificate,
    ])
    # fmt: on
    key.chmod(0o600)
    request.unlink()
    extensions.unlink()
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "cluster", "cluster": {"server": server, "certificate-authority": str(pki / f"{ca_name}.crt")}}
        ],
        "users": [{"name": user, "user": {"client-certificate": str(certificate), "client-key": str(key)}}],
        "contexts": [{"name": "context", "context": {"cluster": "cluster", "user": user}}],
        "current-context": "context",
    }
    target.write_text(yaml.safe_dump(content))
    target.chmod(0o600)
