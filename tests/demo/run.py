"""One run of the demo: install, apply, watch, judge, tell.

Invariant: the answer is 0 only if every job was seen to end as it should; whatever goes wrong ends in words that say
what, and with the part of the logs that matters.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from queue import Empty

from rich.console import Console
from rich.text import Text

from tests.demo import install, live, objects, summary
from tests.demo.board import Board
from tests.demo.checks import Outcome, Problem, problems
from tests.demo.errors import DemoError
from tests.demo.fleet import NAMESPACE, Workload, total_gpus
from tests.demo.kubectl import Kubectl
from tests.demo.objects import JOB_LABEL, Node, Pod, training_result
from tests.demo.sites import Site
from tests.demo.stages import WIDE, Stages

HOPELESS_AFTER_SECONDS = 20.0
FRAME_SECONDS = 0.25
TOLD_JOBS = 3


def run(site: Site, stages: Stages, *, timeout_seconds: float) -> int:
    """Runs the demo on a cluster that is ready; returns the exit status."""
    kubectl = site.kubectl
    workload = Workload(real=site.real, simulated=site.simulated, trainer_image=site.trainer_image)
    with ExitStack() as resources:
        if site.real:
            with stages.stage("operator", "The operator in the cluster, from charts/ballast", estimate_seconds=10):
                install.install(kubectl, site.kubeconfig, image=site.operator_image, build=site.operator_build)
                stages.say("ready")
        else:
            with stages.stage("operator", "The operator, beside the cluster", estimate_seconds=4):
                resources.enter_context(install.local_operator(kubectl, site.kubeconfig, site.operator_log))
                stages.say(f"ready; it logs to {site.operator_log}")
        with stages.stage("clearing", f"Namespace {NAMESPACE}, Pod Security level restricted"):
            left = workload.clear(kubectl)
            if left:
                stages.say(f"removed {left} jobs of an earlier demo")
        nodes = {node.name: node for node in map(objects.node, kubectl.items("nodes"))}
        board = Board(workload.asked, nodes)
        with stages.stage("jobs", _what_is_applied(workload, nodes), estimate_seconds=60 if site.simulated else 30):
            ended_early = follow(board, workload, kubectl, stages.out, timeout_seconds=timeout_seconds)
        outcome = collect(board, kubectl)
        wrong = problems(outcome)
        tell(outcome, stages, waited=len(board.waited))
        if ended_early:
            stages.out.print(Text(f"✗ {ended_early}", style="bold red"))
        if wrong:
            tell_problems(wrong, outcome, site, stages.out)
        elif not ended_early:
            stages.out.print(Text(f"✓ All {len(outcome.asked)} jobs ended as they should.", style="bold green"))
        return 1 if wrong or ended_early else 0


def follow(board: Board, workload: Workload, kubectl: Kubectl, out: Console, *, timeout_seconds: float) -> str:
    """Applies the jobs and shows them until all have ended; returns why it did not wait for that, if so."""
    deadline = time.monotonic() + timeout_seconds
    hopeless_since: float | None = None
    with (
        kubectl.watch("trainingjobs", "-n", NAMESPACE) as events,
        ThreadPoolExecutor(1) as background,
        live.view(board, out) as view,
    ):
        applying = background.submit(workload.apply, kubectl)
        frame = 0.0
        while not board.done:
            if applying.done():
                applying.result()
            now = time.monotonic()
            if now > deadline:
                return (
                    f"After {timeout_seconds:.0f} s not all jobs have ended ({live.counts_line(board)})."
                    " On a slow machine give them longer: make demo ARGS='--timeout 900'"
                )
            hopeless_since = (hopeless_since or now) if board.hopeless else None
            if hopeless_since is not None and now - hopeless_since > HOPELESS_AFTER_SECONDS:
                return "What is left can never run on this cluster: no use in waiting."
            with suppress(Empty):
                change = board.see(events.get(timeout=FRAME_SECONDS))
                if change is not None:
                    view.changed(change)
            if now - frame >= FRAME_SECONDS:
                frame = now
                view.tick()
    return ""


def collect(board: Board, kubectl: Kubectl) -> Outcome:
    """What the API server has at the end."""
    jobs = [objects.job(each) for each in kubectl.items("trainingjobs", "-n", NAMESPACE)]
    pods = [objects.pod(each) for each in kubectl.items("pods", "-n", NAMESPACE, "-l", JOB_LABEL)]
    return Outcome(
        asked=list(board.asked.values()),
        jobs={job.name: job for job in jobs},
        pods=[_with_last_words(pod, board, kubectl) for pod in pods],
        nodes=board.nodes,
        unexplained=frozenset(board.unexplained),
    )


def tell(outcome: Outcome, stages: Stages, *, waited: int) -> None:
    """The last page: jobs, GPU models, times."""
    out = stages.out
    out.print()
    out.print(summary.job_table(outcome, wide=out.width >= WIDE))
    out.print()
    out.print(summary.totals_table(outcome))
    out.print()
    out.print(
        f"{waited} of {len(outcome.asked)} jobs had to wait. Watts and joules are the energy model's predictions,"
    )
    out.print("and pods on simulated nodes only seem to run; accuracy is what real training reached.")
    out.print(f"Times: {stages.times()}")


def tell_problems(wrong: Sequence[Problem], outcome: Outcome, site: Site, out: Console) -> None:
    """What went wrong, and the part of the logs that may tell why."""
    out.print(Text(f"✗ {len(wrong)} things are not as they should be:", style="bold red"))
    for problem in wrong:
        out.print(Text(f"  {problem}", style="red"))
    for name in list(dict.fromkeys(problem.job for problem in wrong if problem.job))[:TOLD_JOBS]:
        for pod in outcome.gang(name):
            out.print(
                Text(f"\npod {pod.name}: {pod.phase} on {pod.node or 'no node'} {pod.waiting}".rstrip(), style="bold")
            )
            node = outcome.nodes.get(pod.node)
            if node is not None and not node.simulated:
                out.print(Text(_log_of(site.kubectl, pod, 30)))
    out.print(Text("\nThe operator's last words:", style="bold"))
    out.print(Text(_operator_log(site)))
    out.print(f"To look closer: kubectl describe tj -n {NAMESPACE}; kubectl get events -n {NAMESPACE}")


def _what_is_applied(workload: Workload, nodes: dict[str, Node]) -> str:
    asked = workload.asked
    real = sum(not job.simulated for job in asked)
    parts = [f"{real} of real training"] if real else []
    if len(asked) > real:
        there = sum(node.gpus for node in nodes.values())
        parts.append(f"{len(asked) - real} for {total_gpus(asked)} simulated GPUs where there are {there}")
    return f"{len(asked)} jobs, kubectl apply -f workloads/examples: {', '.join(parts)}"


def _with_last_words(pod: Pod, board: Board, kubectl: Kubectl) -> Pod:
    """A real pod with its result from the log, where its termination message has none."""
    asked = board.asked.get(pod.job)
    if asked is None or asked.simulated or pod.phase != "Succeeded" or training_result(pod.last_words):
        return pod
    results = [line for line in _log_of(kubectl, pod, 20).splitlines() if training_result(line)]
    return replace(pod, last_words=results[-1]) if results else pod


def _log_of(kubectl: Kubectl, pod: Pod, lines: int) -> str:
    try:
        return kubectl.run("logs", pod.name, "-n", NAMESPACE, "-c", "trainer", f"--tail={lines}").rstrip()
    except DemoError as error:
        return f"(no log: {error})"


def _operator_log(site: Site) -> str:
    try:
        if site.real:
            return install.log_tail(site.kubectl).rstrip()
        return "\n".join(site.operator_log.read_text(errors="replace").splitlines()[-25:])
    except (DemoError, OSError) as error:
        return f"(no log: {error})"
