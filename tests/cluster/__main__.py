"""Command line of the embedded cluster: prepare, up, down, status, env, kubectl, logs."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence

from tests.cluster.cluster import Cluster
from tests.cluster.errors import ClusterError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.cluster",
        description="A real Kubernetes cluster on this machine, for the demo and the tests.",
        epilog="BALLAST_CLUSTER names another cluster, BALLAST_CACHE another cache, and BALLAST_BIN_<NAME> a program"
        " (BALLAST_BIN_KUBELET=/path/to/kubelet).",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="bring the cluster up, or repair it; seconds once the programs are cached")
    up.add_argument("--real-nodes", type=int, default=1, metavar="N", help="how many real nodes (default 1)")
    up.add_argument(
        "--gpu-nodes",
        type=lambda text: text.split(","),
        default=[],
        metavar="MODEL[,MODEL]",
        help="real nodes with simulated GPUs, by model: V100,A40",
    )
    commands.add_parser("prepare", help="find, download or build the programs, and start nothing")
    commands.add_parser("down", help="remove the cluster and everything it made")
    commands.add_parser("status", help="what runs, and where it is")
    commands.add_parser("env", help='print shell assignments: eval "$(python -m tests.cluster env)"')
    commands.add_parser("kubectl", help="run kubectl on the cluster: all further words are kubectl's", add_help=False)
    images = commands.add_parser("load-images", help="build the project's images and load them into the real nodes")
    images.add_argument("images", nargs="*", metavar="IMAGE", help="which ones (default: all)")
    logs = commands.add_parser("logs", help="print the log of a component")
    logs.add_argument("component", help="such as kube-apiserver or kubelet; `logs list` names them all")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # argparse would claim kubectl's own options.
    kubectl_words = given[1:] if given[:1] == ["kubectl"] else []
    words = _parser().parse_args(given[: len(given) - len(kubectl_words)])
    cluster = Cluster.for_checkout()
    try:
        match words.command:
            case "up":
                cluster.up(real_nodes=words.real_nodes, gpu_nodes=words.gpu_nodes)
                print("\n".join(cluster.status_lines()))
            case "prepare":
                cluster.prepare()
            case "down":
                cluster.down()
            case "status":
                print("\n".join(cluster.status_lines()))
                return 0 if cluster.running else 1
            case "env":
                for name, value in cluster.environment().items():
                    print(f"export {name}={shlex.quote(value)}")
            case "kubectl":
                command = [*cluster.kubectl_command(), *kubectl_words]
                sys.stdout.flush()
                os.execv(command[0], command)  # noqa: S606 - kubectl takes our place, terminal and all
            case "load-images":
                cluster.load_images(words.images or None)
            case "logs":
                _print_logs(cluster, words.component)
    except KeyboardInterrupt:
        print("interrupted; `up` goes on from here, `down` removes what there is", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ClusterError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _print_logs(cluster: Cluster, component: str) -> None:
    logs = cluster.log_files()
    if component == "list":
        print("\n".join(sorted(logs)))
        return
    if component not in logs:
        known = ", ".join(sorted(logs))
        raise ClusterError(f"there is no log of {component!r}", remedy=f"Choose one of {known}")
    with logs[component].open(errors="replace") as file:
        for line in file:
            sys.stdout.write(line)


if __name__ == "__main__":
    sys.exit(main())
