"""How `decide` sees one job: its record, together with what nodes, agents, Prometheus and classes have to do with it.

What must hold: a view is frozen and made anew each time, so that it never tells of another moment than its parts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ballast.api.jobstatus import Phase
from ballast.decide.measurement import Learned
from ballast.decide.policy import Policy
from ballast.decide.snapshot import Job
from ballast.observe.boards import Boards, boards_of
from ballast.observe.energy_profiles import EnergyProfiles, Workload
from ballast.observe.held_pods import HeldPods
from ballast.observe.job_records import JobRecords
from ballast.observe.job_telemetry import JobTelemetry
from ballast.observe.node_powers import NodePowers
from ballast.observe.priorities import Priorities


@dataclass(frozen=True, slots=True)
class JobViews:
    """Where the parts of a view come from.

    Attributes:
        policy: how much of a head start in the queue a priority class and a deadline give.
    """

    records: JobRecords
    priorities: Priorities
    powers: NodePowers
    held_pods: HeldPods
    telemetry: JobTelemetry
    profiles: EnergyProfiles
    policy: Policy

    def of(self, uid: str) -> Job | None:
        """Return a job as it is now; None while the job itself is unknown."""
        record = self.records.get(uid)
        if record is None or record.job is None:
            return None
        rank = self.priorities.rank(record.job.spec.priority_class)
        priority = self.priorities.value(record.job.spec.priority_class)
        view = record.view(uid, rank, self.policy, self.powers.held, priority)
        if view is None:
            return None
        held = [pod for pod in view.pods if pod.held]
        telemetry, learned = self.telemetry.of(uid), self._learned(view)
        if not held and telemetry is None and learned is None:
            return view
        words = {pod.uid: self.powers.word(pod.node, pod.uid) for pod in held if pod.node is not None}
        return replace(
            view,
            releasing=frozenset(pod.uid for pod in held if not self.held_pods.is_free(pod.uid)),
            agents_words={pod: word for pod, word in words.items() if word is not None},
            metered_nodes=frozenset(p.node for p in held if p.node is not None and self.powers.has_agent(p.node)),
            known_readings=self.telemetry.known(uid),
            unheard=self.telemetry.unheard(uid),
            telemetry=telemetry,
            learned=learned,
        )

    def boards(self, job: Job) -> Boards | None:
        """Return what the GPUs of a job's nodes, or those that it holds, have in common; None while nobody tells."""
        return boards_of(job, self.powers.boards, self.powers.gpus)

    def workload(self, job: Job, boards: Boards | None) -> Workload | None:
        """Return as what a job is learned; None without GPUs, or while their model is not known."""
        if boards is None or boards.model is None:
            return None
        return Workload(job.namespace, self.records.of(job.uid).profile_key, boards.model)

    def _learned(self, job: Job) -> Learned | None:
        boards = self.boards(job)
        workload = self.workload(job, boards)
        if boards is None or workload is None:
            return None
        learned = self.profiles.learned(workload, boards)
        # Nothing is measured yet of a job that is only placed: it begins with what is known, whatever is being added.
        is_measured = job.job.status.phase is Phase.RUNNING or learned.is_admins
        return learned if is_measured or not learned.writing else replace(learned, writing=False)
