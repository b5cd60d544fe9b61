"""One run of the demo: install, apply, watch, judge, tell.

Invariant: the answer is 0 only if every job was seen to end as it should; whatever goes wrong ends in words that say
what, and with the part of the logs that matters.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import replace
from queue import Empty, Queue

from rich.console import Console
from rich.text import Text

from tests.demo import install, live, objects, summary
from tests.demo.board import Board
from tests.demo.checks import Outcome, Problem, problems
from tests.demo.comparison import summary as comparison_summary
from tests.demo.comparison.arms import compare
from tests.demo.comparison.boards import MODEL_NAMES
from tests.demo.comparison.result import Comparison
from tests.demo.comparison.result import problems as comparison_problems
from tests.demo.errors import DemoError
from tests.demo.fleet import NAMESPACE, Workload, total_gpus
from tests.demo.gpu_checks import gpu_problems
from tests.demo.gpu_power import GpuPower
from tests.demo.gpus import GpuWatch
from tests.demo.kubectl import JsonObject, Kubectl
from tests.demo.objects import JOB_LABEL, Node, Pod, training_result
from tests.demo.sites import Site
from tests.demo.stages import WIDE, Stages
from tests.nvmlsim.boards import MODELS
from tests.nvmlsim.curves import is_measured

COMPARED_NAMESPACE = "ballast-comparison"
HOPELESS_AFTER_SECONDS = 20.0
FRAME_SECONDS = 0.25
TOLD_JOBS = 3


def run(site: Site, stages: Stages, *, timeout_seconds: float) -> int:
    """Runs the demo on a cluster that is ready; returns the exit status."""
    kubectl = site.kubectl
    workload = Workload(
        real=site.real, simulated=site.simulated, gpus=site.gpus is not None, trainer_image=site.trainer_image
    )
    watch = GpuWatch(site.gpus, kubectl) if site.gpus is not None else None
    with ExitStack() as resources:
        if site.real:
            what = "Operator and agents" if site.gpus is not None else "The operator"
            with stages.stage("install", f"{what} in the cluster, from charts/ballast", estimate_seconds=10):
                install.install(
                    kubectl,
                    site.kubeconfig,
                    image=site.operator_image,
                    build=site.operator_build,
                    agents=site.gpus.options if site.gpus is not None else (),
                )
                stages.say("ready")
        else:
            with stages.stage("install", "The operator, beside the cluster", estimate_seconds=4):
                resources.enter_context(install.local_operator(kubectl, site.kubeconfig, site.operator_log))
                stages.say(f"ready; it logs to {site.operator_log}")
        with stages.stage("clearing", f"Namespace {NAMESPACE}, Pod Security level restricted"):
            left = workload.clear(kubectl)
            if left:
                stages.say(f"removed {left} jobs of an earlier demo")
            if watch is not None:
                stages.say(f"{watch.begin()} GPUs on {watch.nodes}, all as they were found")
        nodes = {node.name: node for node in map(objects.node, kubectl.items("nodes"))}
        board = Board(workload.asked, nodes)
        with stages.stage("jobs", _what_is_applied(workload, nodes), estimate_seconds=60 if site.simulated else 30):
            ended_early = follow(board, workload, kubectl, stages.out, watch, timeout_seconds=timeout_seconds)
        outcome = collect(board, kubectl)
        wrong = problems(outcome)
        power = None
        if watch is not None:
            with stages.stage("power", "What the GPUs drew, and whether they are as they were before"):
                power = watch.end(outcome)
                wrong += gpu_problems(power, outcome)
        compared = None
        if site.compared is not None and not (wrong or ended_early):
            what = "Ten jobs on simulated V100s and A40s, under kube-scheduler alone and then under Ballast"
            with stages.stage("comparison", what, estimate_seconds=90):
                compared = compare(kubectl, site.compared, COMPARED_NAMESPACE, stages.say)
            wrong += [Problem("", text) for text in comparison_problems(compared)]
        tell(outcome, stages, waited=len(board.waited))
        if watch is not None and power is not None:
            tell_power(power, watch.table(), stages)
        if compared is not None:
            tell_comparison(compared, stages)
        stages.out.print(f"Times: {stages.times()}")
        if ended_early:
            stages.out.print(Text(f"✗ {ended_early}", style="bold red"))
        if wrong:
            tell_problems(wrong, outcome, site, stages.out)
        elif not ended_early:
            stages.out.print(Text(f"✓ All {len(outcome.asked)} jobs ended as they should.", style="bold green"))
        return 1 if wrong or ended_early else 0


def follow(
    board: Board,
    workload: Workload,
    kubectl: Kubectl,
    out: Console,
    watch: GpuWatch | None = None,
    *,
    timeout_seconds: float,
) -> str:
    """Applies the jobs and shows them until all have ended; returns why it did not wait for that, if so."""
    deadline = time.monotonic() + timeout_seconds
    hopeless_since: float | None = None
    with (
        kubectl.watch("trainingjobs", "-n", NAMESPACE) as events,
        kubectl.watch("nodepowers") if watch is not None else nullcontext(Queue[JsonObject]()) as powers,
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
            while watch is not None and not powers.empty():
                for text in watch.see(powers.get()):
                    view.said(text)
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
    """The last page: jobs and GPU models."""
    out = stages.out
    out.print()
    out.print(summary.job_table(outcome, wide=out.width >= WIDE))
    out.print()
    out.print(summary.totals_table(outcome))
    out.print()
    out.print(
        f"{waited} of {len(outcome.asked)} jobs had to wait. Watts and joules above are the energy model's predictions,"
    )
    out.print("and pods on simulated nodes only seem to run; accuracy is what real training reached.")


def tell_power(power: GpuPower, node_powers: str, stages: Stages) -> None:
    """What the GPUs of real nodes drew as found and under a limit, and how they are now."""
    out = stages.out
    out.print()
    of_what = "Power of simulated GPUs" if power.simulated else "Power of GPUs"
    out.print(Text(f"{of_what}, as found and under a limit, metered by their agent", style="bold"))
    out.print(summary.power_table(power))
    for line in summary.power_lines(power):
        out.print(line)
    out.print(Text(power.note, style="yellow" if power.simulated else ""))
    out.print()
    out.print(Text(node_powers, style="dim"))
    out.print()


def tell_comparison(compared: Comparison, stages: Stages) -> None:
    """What the same jobs took without Ballast and with it."""
    out = stages.out
    out.print(Text("Plain kube-scheduler against Ballast, on simulated GPUs of two models", style="bold"))
    out.print(comparison_summary.table(compared))
    measured = all(is_measured(MODELS[name.lower()]) for name in MODEL_NAMES)
    for line in comparison_summary.lines(compared, measured=measured):
        out.print(line)
    out.print()


def tell_problems(wrong: Sequence[Problem], outcome: Outcome, site: Site, out: Console) -> None:
    """The part of the logs that may tell why something went wrong, and what did."""
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
    if site.gpus is not None:
        out.print(Text("\nThe agents' last words:", style="bold"))
        out.print(Text(_agents_log(site)))
    out.print(f"To look closer: kubectl describe tj -n {NAMESPACE}; kubectl get events -n {NAMESPACE}")
    # Last, so that it is seen: where output is kept only in part, it is the end.
    out.print(Text(f"✗ {len(wrong)} things are not as they should be:", style="bold red"))
    for problem in wrong:
        out.print(Text(f"  {problem}", style="red"))


def _what_is_applied(workload: Workload, nodes: dict[str, Node]) -> str:
    asked = workload.asked
    real = [job for job in asked if not job.simulated]
    with_gpus = sum(job.on_real_gpus for job in real)
    fleet = [job for job in asked if job.simulated]
    parts = [f"{len(real)} of real training" + (f" ({with_gpus} on a GPU node)" if with_gpus else "")] if real else []
    if fleet:
        there = sum(node.gpus for node in nodes.values() if node.simulated)
        parts.append(f"{len(fleet)} for {total_gpus(fleet)} GPUs of simulated nodes where there are {there}")
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


def _agents_log(site: Site) -> str:
    try:
        return install.log_tail(site.kubectl, f"daemonset/{install.AGENTS}").rstrip()
    except DemoError as error:
        return f"(no log: {error})"


def _operator_log(site: Site) -> str:
    try:
        if site.real:
            return install.log_tail(site.kubectl).rstrip()
        return "\n".join(site.operator_log.read_text(errors="replace").splitlines()[-25:])
    except (DemoError, OSError) as error:
        return f"(no log: {error})"
