"""The programs that the embedded cluster is made of: versions, and where each can come from.

One entry per program, one place to raise a version. Invariant: every program can be had without a download of a
prebuilt binary (from a pinned Go module or from a Debian package), so that a machine that reaches only package
registries builds the same cluster as one that reaches the official release pages.

Checksums: the projects publish a SHA-256 file beside each release. It is fetched over TLS together with the program and
compared; the version is pinned here. Go modules are pinned by `go.sum`, Debian packages are checked by apt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

KUBERNETES_VERSION = "1.36.3"
ETCD_VERSION = "3.7.3"
KWOK_VERSION = "0.8.0"
CONTAINERD_VERSION = "2.1.4"
COREDNS_VERSION = "1.14.7"
PROMETHEUS_VERSION = "3.13.5"
RUNC_VERSION = "1.3.0"
CNI_VERSION = "1.7.1"
HELM_VERSION = "3.22.0"


@dataclass(frozen=True)
class Release:
    """An official release. `{version}`, `{os}` and `{arch}` are filled in.

    Attributes:
        url: The program itself, or an archive (`.tar.gz`, `.tgz`) that holds it.
        checksum_url: Where its publisher tells the SHA-256 of `url`: one bare digest, lines of `digest  file name`, or
            GitHub's description of a release.
        member: The program's path in the archive; empty where `url` is the program.
        systems: Operating systems that the project publishes it for.
    """

    url: str
    checksum_url: str
    member: str = ""
    systems: tuple[str, ...] = ("linux", "darwin")


@dataclass(frozen=True)
class GoPackage:
    """A program that is built from a pinned module.

    Attributes:
        module: Folder under `tools/` whose `go.mod` and `go.sum` pin it.
        package: Import path of the main package.
        cold_seconds: How long the first build takes on two cores.
        variables: `-X` link variables; `{version}` is filled in.
        tags: Build tags.
    """

    module: str
    package: str
    cold_seconds: float
    variables: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class DebianPackage:
    """A program in a Debian package, which is unpacked into the cache and not installed.

    Attributes:
        package: Name of the package.
        member: The program's path in it.
    """

    package: str
    member: str


@dataclass(frozen=True)
class Program:
    """One program.

    Attributes:
        name: Its file name; also names the variable `BALLAST_BIN_<NAME>` by which a user gives a path.
        version: The pinned version, without a leading `v`.
        version_command: Arguments that make it tell its version.
        version_pattern: Finds the version in what it says, as one group.
        accepts: Versions on `PATH` that will do, as a pattern for the whole version.
        release: The official release.
        go: How to build it.
        debian: The package that holds it.
        static: It runs alone in an image, so one on `PATH` that needs shared libraries will not do.
    """

    name: str
    version: str
    version_command: tuple[str, ...] = ("--version",)
    version_pattern: str = r"v?(\d+\.\d+\.\d+)"
    accepts: str = r".*"
    release: Release | None = None
    go: GoPackage | None = None
    debian: DebianPackage | None = None
    static: bool = False

    @property
    def variable(self) -> str:
        """The environment variable by which a user names a path."""
        return "BALLAST_BIN_" + self.name.upper().replace("-", "_")

    def parse_version(self, said: str) -> str | None:
        """The version in what the program says about itself; None when it says none."""
        found = re.search(self.version_pattern, said)
        return found.group(1) if found else None


def _kubernetes(name: str, cold_seconds: float, *, systems: tuple[str, ...] = ("linux",)) -> Program:
    return Program(
        name=name,
        version=KUBERNETES_VERSION,
        version_command=("version", "--client") if name == "kubectl" else ("--version",),
        accepts=r"1\.36\.\d+",
        release=Release(
            url=f"https://dl.k8s.io/v{{version}}/bin/{{os}}/{{arch}}/{name}",
            checksum_url=f"https://dl.k8s.io/v{{version}}/bin/{{os}}/{{arch}}/{name}.sha256",
            systems=systems,
        ),
        go=GoPackage(
            module="kubernetes",
            package=f"k8s.io/kubernetes/cmd/{name}",
            cold_seconds=cold_seconds,
            variables=(
                "k8s.io/component-base/version.gitVersion=v{version}",
                "k8s.io/component-base/version.gitMajor=1",
                "k8s.io/component-base/version.gitMinor=36",
            ),
        ),
    )


def _kwok(name: str, cold_seconds: float) -> Program:
    return Program(
        name=name,
        version=KWOK_VERSION,
        accepts=r"0\.8\.\d+",
        release=Release(
            url=f"https://github.com/kubernetes-sigs/kwok/releases/download/v{{version}}/{name}-{{os}}-{{arch}}",
            checksum_url="https://api.github.com/repos/kubernetes-sigs/kwok/releases/tags/v{version}",
        ),
        go=GoPackage(
            module="kwok",
            package=f"sigs.k8s.io/kwok/cmd/{name}",
            cold_seconds=cold_seconds,
            variables=("sigs.k8s.io/kwok/pkg/consts.Version=v{version}",),
        ),
    )


def _containerd(name: str, cold_seconds: float, *, version_command: tuple[str, ...] = ("--version",)) -> Program:
    archive = (
        "https://github.com/containerd/containerd/releases/download/v{version}/containerd-{version}-{os}-{arch}.tar.gz"
    )
    return Program(
        name=name,
        version=CONTAINERD_VERSION,
        version_command=version_command,
        version_pattern=r"[ v](2\.\d+\.\d+)",
        accepts=r"2\.\d+\.\d+",
        release=Release(url=archive, checksum_url=archive + ".sha256sum", member=f"bin/{name}", systems=("linux",)),
        go=GoPackage(
            module="containerd",
            package=f"github.com/containerd/containerd/v2/cmd/{name}",
            cold_seconds=cold_seconds,
            tags=("no_btrfs", "no_devmapper", "no_zfs"),
        ),
    )


def _cni(name: str) -> Program:
    archive = "https://github.com/containernetworking/plugins/releases/download/v{version}/cni-plugins-{os}-{arch}-v{version}.tgz"
    return Program(
        name=name,
        version=CNI_VERSION,
        release=Release(url=archive, checksum_url=archive + ".sha256", member=f"./{name}", systems=("linux",)),
        debian=DebianPackage("containernetworking-plugins", f"usr/lib/cni/{name}"),
    )


_ETCD_ARCHIVE = "https://github.com/etcd-io/etcd/releases/download/v{version}/etcd-v{version}-{os}-{arch}.tar.gz"
_COREDNS_ARCHIVE = "https://github.com/coredns/coredns/releases/download/v{version}/coredns_{version}_{os}_{arch}.tgz"
_PROMETHEUS_ARCHIVE = (
    "https://github.com/prometheus/prometheus/releases/download/v{version}/prometheus-{version}.{os}-{arch}.tar.gz"
)

CONTROL_PLANE: tuple[Program, ...] = (
    _kubernetes("kube-apiserver", 240),
    _kubernetes("kube-controller-manager", 100),
    _kubernetes("kube-scheduler", 40),
    _kubernetes("kubectl", 40, systems=("linux", "darwin")),
    Program(
        name="etcd",
        version=ETCD_VERSION,
        accepts=r"3\.([5-9]|\d\d+)\.\d+",
        release=Release(
            url=_ETCD_ARCHIVE,
            checksum_url="https://github.com/etcd-io/etcd/releases/download/v{version}/SHA256SUMS",
            member="etcd-v{version}-{os}-{arch}/etcd",
            systems=("linux",),
        ),
        go=GoPackage(module="etcd", package="go.etcd.io/etcd/server/v3", cold_seconds=40),
    ),
    _kwok("kwok", 60),
    _kwok("kwokctl", 30),
    Program(
        name="prometheus",
        version=PROMETHEUS_VERSION,
        version_pattern=r"version (\d+\.\d+\.\d+)",
        accepts=r"3\.\d+\.\d+",
        release=Release(
            url=_PROMETHEUS_ARCHIVE,
            checksum_url="https://github.com/prometheus/prometheus/releases/download/v{version}/sha256sums.txt",
            member="prometheus-{version}.{os}-{arch}/prometheus",
        ),
        # Debian's own package is built without the discovery of pods; its version 2 is not accepted above.
        go=GoPackage(
            module="prometheus",
            package="github.com/prometheus/prometheus/cmd/prometheus",
            cold_seconds=150,
            variables=("github.com/prometheus/common/version.Version={version}",),
            tags=("netgo", "remove_all_sd", "enable_kubernetes_sd"),
        ),
    ),
)

REAL_NODE: tuple[Program, ...] = (
    _kubernetes("kubelet", 60),
    _kubernetes("kube-proxy", 30),
    _containerd("containerd", 100),
    _containerd("containerd-shim-runc-v2", 20, version_command=("-v",)),
    _containerd("ctr", 20),
    Program(
        name="coredns",
        version=COREDNS_VERSION,
        version_command=("-version",),
        version_pattern=r"CoreDNS-(\d+\.\d+\.\d+)",
        accepts=r"1\.(9|\d\d+)\.\d+",
        release=Release(
            url=_COREDNS_ARCHIVE, checksum_url=_COREDNS_ARCHIVE + ".sha256", member="coredns", systems=("linux",)
        ),
        go=GoPackage(module="coredns", package="github.com/coredns/coredns", cold_seconds=120),
        static=True,
    ),
    Program(
        name="runc",
        version=RUNC_VERSION,
        version_pattern=r"runc version (\d+\.\d+\.\d+)",
        accepts=r"1\.[1-9]\d*\.\d+",
        release=Release(
            url="https://github.com/opencontainers/runc/releases/download/v{version}/runc.{arch}",
            checksum_url="https://github.com/opencontainers/runc/releases/download/v{version}/runc.sha256sum",
            systems=("linux",),
        ),
        debian=DebianPackage("runc", "usr/sbin/runc"),
    ),
    # Waits for signals and reaps, as the first process of every pod; static, so that it is an image by itself.
    Program(
        name="catatonit",
        version="0.1.7",
        version_command=("-V",),
        debian=DebianPackage("catatonit", "usr/bin/catatonit"),
        static=True,
    ),
    _cni("ptp"),
    _cni("host-local"),
    _cni("portmap"),
    _cni("loopback"),
)

_HELM_ARCHIVE = "https://get.helm.sh/helm-v{version}-{os}-{arch}.tar.gz"

#: What people install with; no part of a cluster.
CLIENTS: tuple[Program, ...] = (
    Program(
        name="helm",
        version=HELM_VERSION,
        version_command=("version", "--short"),
        version_pattern=r"v(\d+\.\d+\.\d+)",
        accepts=r"3\.(1[4-9]|[2-9]\d)\.\d+",
        release=Release(url=_HELM_ARCHIVE, checksum_url=_HELM_ARCHIVE + ".sha256sum", member="{os}-{arch}/helm"),
        go=GoPackage(
            module="helm",
            package="helm.sh/helm/v3/cmd/helm",
            cold_seconds=65,
            variables=(
                "helm.sh/helm/v3/internal/version.version=v{version}",
                # What templates see where there is no cluster to ask.
                f"helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor={KUBERNETES_VERSION.split('.')[0]}",
                f"helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor={KUBERNETES_VERSION.split('.')[1]}",
            ),
        ),
    ),
)

#: What single tests run; got when one of them does.
CHECKERS: tuple[Program, ...] = (
    Program(
        name="promtool",
        version=PROMETHEUS_VERSION,
        version_pattern=r"version (\d+\.\d+\.\d+)",
        accepts=r"[23]\.\d+\.\d+",
        release=Release(
            url=_PROMETHEUS_ARCHIVE,
            checksum_url="https://github.com/prometheus/prometheus/releases/download/v{version}/sha256sums.txt",
            member="prometheus-{version}.{os}-{arch}/promtool",
        ),
        debian=DebianPackage("prometheus", "usr/bin/promtool"),
    ),
)

PROGRAMS: dict[str, Program] = {program.name: program for program in (*CONTROL_PLANE, *REAL_NODE, *CLIENTS, *CHECKERS)}
