"""Command line of the demo: `make demo`, or `python -m tests.demo --help`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from rich.text import Text

from tests.cluster.errors import ClusterError
from tests.demo import sites
from tests.demo.errors import DemoError
from tests.demo.fleet import NAMESPACE
from tests.demo.run import COMPARED_NAMESPACE, run
from tests.demo.sites import Site
from tests.demo.stages import Stages, console

INTERRUPTED = 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.demo",
        description="Ballast at work: a cluster, the operator in it, real training on a real node, the same under a"
        " power limit on simulated GPUs, twenty GPU jobs on simulated nodes, and ten jobs with Ballast and without."
        " Ends with 0 only if all went as it should.",
    )
    parser.add_argument(
        "--kubeconfig",
        type=Path,
        metavar="FILE",
        help="use this cluster instead of an embedded one; only its jobs and the operator are added to it",
    )
    parser.add_argument("--operator-image", default="", metavar="NAME", help="with --kubeconfig: the operator's image")
    parser.add_argument("--trainer-image", default="", metavar="NAME", help="with --kubeconfig: the trainer's image")
    parser.add_argument(
        "--agent-image",
        default="",
        metavar="NAME",
        help="with --kubeconfig: the agent's image; with --exporter-image too, GPUs of the cluster's nodes are limited"
        " to 150 W for a while, and metered",
    )
    parser.add_argument("--exporter-image", default="", metavar="NAME", help="with --kubeconfig: the exporter's image")
    parser.add_argument(
        "--prometheus",
        default="",
        metavar="URL",
        help="with --kubeconfig: the cluster's Prometheus, as pods reach it: shows watts while jobs run",
    )
    parser.add_argument(
        "--without-real-node",
        action="store_true",
        help="simulated nodes only: the operator runs beside the cluster, nothing trains, no image is needed",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="how long the jobs may take (%(default)g)",
    )
    after = parser.add_mutually_exclusive_group()
    after.add_argument("--down", action="store_true", help="remove everything at the end, however it ends")
    after.add_argument("--keep", action="store_true", help="leave everything, to look around (the default)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demo; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    of_users = (
        *(options.operator_image, options.trainer_image, options.agent_image),
        *(options.exporter_image, options.prometheus),
    )
    if options.kubeconfig is None and any(of_users):
        parser.error("--*-image and --prometheus need --kubeconfig: the embedded cluster has its own")
    stages = Stages(console())
    signal.signal(signal.SIGTERM, _terminate)
    try:
        with ExitStack() as at_the_end:
            return _demo(options, stages, at_the_end)
    except (DemoError, ClusterError) as error:
        stages.out.print(Text(f"✗ It could not be taken down: {error}", style="bold red"))
        return 1
    except KeyboardInterrupt:
        stages.out.print("\nInterrupted while taking it down: run `make cluster-down`.")
        return INTERRUPTED


def _demo(options: argparse.Namespace, stages: Stages, at_the_end: ExitStack) -> int:
    site: Site | None = None
    try:
        if options.kubeconfig is None:
            if options.down:
                at_the_end.callback(_take_down, sites.remove_embedded, stages)
            site = sites.embedded(stages, real_node=not options.without_real_node)
        else:
            site = sites.existing(
                stages,
                options.kubeconfig.expanduser().resolve(),
                operator_image=options.operator_image,
                agent_image=options.agent_image,
                exporter_image=options.exporter_image,
                trainer_image=options.trainer_image,
                prometheus_url=options.prometheus,
            )
            if options.down:
                at_the_end.callback(_take_down, site.remove, stages)
        status = run(site, stages, timeout_seconds=options.timeout)
    except (DemoError, ClusterError) as error:
        stages.out.print(Text(f"✗ {error}", style="bold red"))
        status = 1
    except KeyboardInterrupt as interrupt:
        stages.out.print("\nInterrupted.")
        status = 128 + signal.SIGTERM if isinstance(interrupt, _Terminated) else INTERRUPTED
    if site is not None and not options.down:
        _invite(site, stages)
    return status


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ends the demo as an interrupt does: whatever it has begun is brought to an end."""


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise _Terminated


def _invite(site: Site, stages: Stages) -> None:
    out = stages.out
    out.print("\nThe cluster keeps running. To look around:")
    out.print(f"  {site.look_around}", markup=False)
    out.print(f"  kubectl get tj -n {NAMESPACE} -o wide")
    if site.simulated:
        out.print(f"  kubectl describe tj language-model -n {NAMESPACE}")
    if site.gpus is not None:
        out.print(f"  kubectl describe tj digits-gpu-150w -n {NAMESPACE}; kubectl get np -o wide")
    if site.compared is not None:
        out.print(f"  kubectl get tj -n {COMPARED_NAMESPACE} -o wide; kubectl get epr -n {COMPARED_NAMESPACE}")
    if site.real:
        out.print(f"  kubectl logs -n {NAMESPACE} -l ballast.dev/trainingjob=digits-gang --prefix")
    else:
        out.print("The operator ended with the demo. To run it again:")
        out.print("  PYTHONPATH=operator BALLAST_LOG_FORMAT=text .venv/bin/python -m ballast operator")
    out.print("To take it down:")
    for command in site.take_down:
        out.print(f"  {command}", markup=False)


def _take_down(remove: Callable[[], None], stages: Stages) -> None:
    with stages.stage("down", "Taking it down", estimate_seconds=5):
        remove()


if __name__ == "__main__":
    sys.exit(main())
