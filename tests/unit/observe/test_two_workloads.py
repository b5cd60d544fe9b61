"""Somebody deletes a job's Job while it is placed: late news of the old one does not hide the new one."""

from __future__ import annotations

from ballast.decide.snapshot import Job
from ballast.observe.cluster_state import ClusterState, Kind
from tests.builders import NOW, job

GANG = job("gang").placed_on("a")


def seen_job(cluster: ClusterState) -> Job:
    (seen,) = cluster.snapshot(NOW, 10).changed
    return seen


def test_the_job_that_appeared_later_is_the_jobs_own() -> None:
    cluster = ClusterState()
    cluster.observe(Kind.TRAINING_JOB, GANG.manifest())
    old, new = GANG.job_manifest(version=5), GANG.job_manifest(version=6)
    new["metadata"]["uid"] = "uid-of-the-new-one"
    late = GANG.job_manifest(7, Failed="deleted")

    for manifest in (old, new, late):
        cluster.observe(Kind.JOB, manifest)
    workload = seen_job(cluster).workload
    assert workload is not None
    assert workload.uid == "uid-of-the-new-one"
    assert not workload.failed

    cluster.forget(Kind.JOB, "uid-of-the-new-one")
    remaining = seen_job(cluster).workload
    assert remaining is not None
    assert remaining.uid == old["metadata"]["uid"]
