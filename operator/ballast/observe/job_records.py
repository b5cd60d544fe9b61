"""The records of all TrainingJobs, and whose child each Job or pod is.

What must hold: a child belongs to the one TrainingJob that its label names, until it is gone or loses the label; a
record is kept while its job or any child exists, whichever was seen first, and no longer.
"""

from __future__ import annotations

from collections import defaultdict

from ballast.api.trainingjob import InvalidTrainingJob, TrainingJob
from ballast.decide.learning.profile_keys import profile_key
from ballast.decide.resources import Resources
from ballast.observe.checkpoints import keeps_checkpoints
from ballast.observe.parsing import JsonObject, UnsupportedTemplate, gang_request, training_pod, workload
from ballast.observe.records import Record

VANISHED_JOB_SECONDS = 2.0
"""Pause before an attempt whose Job was deleted gets another one."""


class JobRecords:
    """By the job's UID; see the module's docstring.

    Args:
        sidecar: what the exporter asks for in each pod that carries one.
    """

    def __init__(self, sidecar: Resources) -> None:
        self._sidecar = sidecar
        self._records: dict[str, Record] = defaultdict(Record)
        self._owner_of: dict[str, tuple[str, str]] = {}  # UID of a Job or pod -> UID of its TrainingJob, namespace

    def __contains__(self, uid: object) -> bool:
        return uid in self._records

    def get(self, uid: str) -> Record | None:
        """Return a job's record; None if nothing is known of it."""
        return self._records.get(uid)

    def of(self, uid: str) -> Record:
        """Return a job's record, a new one if nothing was known of it."""
        return self._records[uid]

    def owner(self, child: str) -> str | None:
        """Return the UID of the TrainingJob of a Job or pod; None if it has none."""
        return self._owner_of[child][0] if child in self._owner_of else None

    def namespace_of_child(self, child: str) -> str | None:
        """Return the namespace of a Job or pod that has a TrainingJob; None if there is none of that UID."""
        return self._owner_of[child][1] if child in self._owner_of else None

    def namespace_of_job(self, uid: str) -> str | None:
        """Return the namespace of a TrainingJob; None if there is none of that UID."""
        record = self._records.get(uid)
        return record.job.metadata.namespace if record is not None and record.job is not None else None

    def put_job(self, obj: JsonObject) -> None:
        """Take in a TrainingJob.

        Raises:
            InvalidTrainingJob: it cannot be read; its record says so.
        """
        record = self._records[obj["metadata"]["uid"]]
        try:
            job = TrainingJob.parse(obj)
        except InvalidTrainingJob:
            record.job, record.unreadable = None, True
            raise
        record.unreadable = False
        if record.job is None or record.job.spec != job.spec:
            record.profile_key = profile_key(job)
            record.keeps_checkpoints = keeps_checkpoints(job)
            try:
                record.gang, record.problem, record.grown = gang_request(job, self._sidecar), None, None
            except UnsupportedTemplate as error:
                record.gang, record.problem, record.grown = None, str(error), None
        record.job = job

    def remove_job(self, uid: str) -> None:
        """Take in that a TrainingJob is gone; its children may still be there."""
        record = self._records.get(uid)
        if record is not None:
            record.job, record.assumed, record.unreadable = None, None, False

    def put_workload(self, obj: JsonObject, owner: str) -> None:
        """Take in a Job of a TrainingJob."""
        uid, namespace = obj["metadata"]["uid"], obj["metadata"]["namespace"]
        self._owner_of[uid] = owner, namespace
        self._records[owner].children[namespace].workloads[uid] = workload(obj)

    def put_pod(self, obj: JsonObject, owner: str) -> None:
        """Take in a pod of a TrainingJob."""
        uid, namespace = obj["metadata"]["uid"], obj["metadata"]["namespace"]
        self._owner_of[uid] = owner, namespace
        self._records[owner].children[namespace].pods[uid] = training_pod(obj)

    def remove_child(self, uid: str, now: float) -> str | None:
        """Take in that a Job or pod is gone, or nobody's any more; return the UID of the TrainingJob that had it."""
        owner, namespace = self._owner_of.pop(uid, (None, ""))
        if owner is None:
            return None
        record = self._records[owner]
        record.children[namespace].pods.pop(uid, None)
        gone = record.children[namespace].workloads.pop(uid, None)
        if gone is not None and record.is_placing(gone.attempt):
            # Most likely the TrainingJob is deleted too, and its watch lags: a Job made now would have no owner.
            record.rests_until = now + VANISHED_JOB_SECONDS
        record.ungating -= {uid}
        record.removing -= {uid}
        return owner

    def prune(self, uid: str) -> None:
        """Forget a job that does not exist, unless a child of it does."""
        record = self._records[uid]
        if record.job is None and record.is_childless and not record.unreadable:
            del self._records[uid]
