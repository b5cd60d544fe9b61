"""One test's namespace on the cluster: submit jobs, wait for what should become of them, clean up.

Waiting is a watch with a time limit. When the time is over, the failure shows the object, what belongs to it, its
events and the end of the operator's log: everything that one would look for by hand.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

import yaml

from ballast.api.labels import JOB_LABEL
from tests.e2e.kube import JsonObject, Kube, Refused
from tests.e2e.manifests import TrainingJobManifest

TIMEOUT_SECONDS = 60.0
ENDED = ("Succeeded", "Failed")
GONE = (404, 410)


class Namespace:
    """A namespace that exists for one test.

    Args:
        kube: a client that may do everything.
        name: the namespace's name.
        operator_log: returns the end of the operator's log.
    """

    def __init__(self, kube: Kube, name: str, operator_log: Callable[[], str]) -> None:
        self.kube = kube
        self.name = name
        self.since = "0"
        self._operator_log = operator_log
        self.jobs_path = f"/apis/ballast.dev/v1alpha1/namespaces/{name}/trainingjobs"
        self.pods_path = f"/api/v1/namespaces/{name}/pods"
        self.workloads_path = f"/apis/batch/v1/namespaces/{name}/jobs"
        self.services_path = f"/api/v1/namespaces/{name}/services"
        self.events_path = f"/api/v1/namespaces/{name}/events"

    def __enter__(self) -> Self:
        made = self.kube.create("/api/v1/namespaces", {"metadata": {"name": self.name}})
        self.since = made["metadata"]["resourceVersion"]  # the history of all that is in it begins here
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Delete everything, and wait until nothing of it holds capacity any more; the rest may take its time."""
        for path in (self.jobs_path, self.pods_path):
            self.kube.delete(path, gracePeriodSeconds=0)
        self.wait(self.pods_path, None, lambda pods: not pods, "no pods are left")
        self.kube.delete(f"/api/v1/namespaces/{self.name}")

    # -- jobs

    def submit(self, *jobs: TrainingJobManifest) -> None:
        """Create TrainingJobs."""
        for job in jobs:
            self.kube.create(self.jobs_path, job.manifest())

    def job(self, name: str) -> JsonObject:
        """Return a TrainingJob as it is now."""
        return self.kube.get(f"{self.jobs_path}/{name}")

    def edit(self, name: str, **spec: object) -> JsonObject:
        """Set fields of a TrainingJob's spec by their names in the API; None removes one."""
        return self.kube.merge(f"{self.jobs_path}/{name}", {"spec": spec})

    def delete_job(self, name: str) -> None:
        """Delete a TrainingJob; what belongs to it goes in the background."""
        self.kube.delete(f"{self.jobs_path}/{name}")

    def wait_for_phase(self, name: str, *phases: str, timeout_seconds: float = TIMEOUT_SECONDS) -> JsonObject:
        """Wait until a job is in one of the phases; one that ends in another is a failure at once."""

        def reached(jobs: list[JsonObject]) -> bool:
            now = phase(jobs[0]) if jobs else ""
            if now in ENDED and now not in phases:
                raise AssertionError(self._told(f"{name} is {now}, not {' or '.join(phases)}", name))
            return now in phases

        return self.wait(self.jobs_path, name, reached, f"{name} is {' or '.join(phases)}", timeout_seconds)[0]

    def wait_for_job(
        self, name: str, holds: Callable[[JsonObject], bool], what: str, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> JsonObject:
        """Wait until something holds of a job."""
        return self.wait(self.jobs_path, name, lambda jobs: bool(jobs) and holds(jobs[0]), what, timeout_seconds)[0]

    def wait_until_refused(self, name: str, reason: str) -> str:
        """Wait until a queued job says that it is not admitted for a reason; return the sentence that it says."""

        def told(job: JsonObject) -> bool:
            admitted = condition(job, "Admitted")
            return admitted is not None and (admitted["status"], admitted["reason"]) == ("False", reason)

        job = self.wait_for_job(name, told, f"{name} waits because of {reason}")
        assert phase(job) == "Queued", self._told(f"{name} is not queued", name)
        message: str = (condition(job, "Admitted") or {})["message"]
        return message

    def wait_until_gone(self) -> None:
        """Wait until no TrainingJob, Job, Service or pod is left."""
        for path in (self.jobs_path, self.workloads_path, self.services_path, self.pods_path):
            self.wait(path, None, lambda objects: not objects, f"{path.rpartition('/')[2]} are gone")

    # -- what belongs to them

    def pods(self, job: str) -> list[JsonObject]:
        """Return a job's pods by index."""
        pods = self.kube.list(self.pods_path, labelSelector=f"{JOB_LABEL}={job}")
        return sorted(pods, key=lambda pod: int(pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"]))

    def wait_for_pods(self, holds: Callable[[list[JsonObject]], bool], what: str) -> list[JsonObject]:
        """Wait until something holds of the namespace's pods."""
        return self.wait(self.pods_path, None, holds, what)

    def events(self, job: str) -> list[JsonObject]:
        """Return the events about a TrainingJob, in the order in which they were written."""
        selector = f"involvedObject.kind=TrainingJob,involvedObject.name={job}"
        events = self.kube.list(self.events_path, fieldSelector=selector)
        return sorted(events, key=lambda event: int(event["metadata"]["resourceVersion"]))

    def wait_for_event(self, job: str, reason: str) -> JsonObject:
        """Wait until an event with a reason is there; events come after the status that they explain."""
        selector = f"involvedObject.kind=TrainingJob,involvedObject.name={job},reason={reason}"
        return self.wait(
            self.events_path, None, bool, f"{job} has an event {reason}", TIMEOUT_SECONDS, fieldSelector=selector
        )[0]

    def apply_file(self, file: Path) -> list[str]:
        """Create the TrainingJobs of a manifest file as they are; return their names."""
        manifests = [each for each in yaml.safe_load_all(file.read_text()) if each]
        for manifest in manifests:
            self.kube.create(self.jobs_path, manifest)
        return [manifest["metadata"]["name"] for manifest in manifests]

    # -- waiting

    def wait(
        self,
        path: str,
        name: str | None,
        holds: Callable[[list[JsonObject]], bool],
        what: str,
        timeout_seconds: float = TIMEOUT_SECONDS,
        **query: str,
    ) -> list[JsonObject]:
        """Watch a collection, or one object of it, until something holds.

        Returns:
            The objects of which it holds.

        Raises:
            AssertionError: it did not within the time; tells everything about the namespace.
        """
        if name is not None:
            query["fieldSelector"] = f"metadata.name={name}"
        deadline = time.monotonic() + timeout_seconds
        while (left := deadline - time.monotonic()) > 0:
            page = self.kube.get(f"{path}?{urlencode(query)}")
            objects = {item["metadata"]["uid"]: item for item in page["items"]}
            if holds(list(objects.values())):
                return list(objects.values())
            try:
                for kind, obj in self.kube.watch(path, page["metadata"]["resourceVersion"], left, **query):
                    if kind == "DELETED":
                        objects.pop(obj["metadata"]["uid"], None)
                    else:
                        objects[obj["metadata"]["uid"]] = obj
                    if holds(list(objects.values())):
                        return list(objects.values())
            except Refused as error:
                if error.status not in GONE:
                    raise
            except (OSError, TimeoutError):  # the API server restarts: list again
                time.sleep(0.2)
        raise AssertionError(self._told(f"not within {timeout_seconds:.0f} s: {what}", name))

    def history(self, path: str, since: str) -> list[tuple[str, JsonObject]]:
        """Return every version of a collection's objects after `since`, in order; the last ones are those of now."""
        wanted = {item["metadata"]["uid"]: int(item["metadata"]["resourceVersion"]) for item in self.kube.list(path)}
        missing = {uid for uid, version in wanted.items() if version > int(since)}
        seen: list[tuple[str, JsonObject]] = []
        if not missing:
            return seen
        for kind, obj in self.kube.watch(path, since, 30):
            seen.append((kind, obj))
            uid = obj["metadata"]["uid"]
            if uid in missing and int(obj["metadata"]["resourceVersion"]) >= wanted[uid]:
                missing.remove(uid)
            if not missing:
                return seen
        raise AssertionError(self._told(f"the history of {path} is not complete", None))

    def last_version(self, path: str, name: str, since: str, timeout_seconds: float = TIMEOUT_SECONDS) -> JsonObject:
        """Wait until an object is deleted and return it as it was when it went."""
        for kind, obj in self.kube.watch(path, since, timeout_seconds, fieldSelector=f"metadata.name={name}"):
            if kind == "DELETED":
                return obj
        raise AssertionError(self._told(f"{name} was not deleted within {timeout_seconds:.0f} s", None))

    def _told(self, problem: str, name: str | None) -> str:
        """Return the problem with everything that explains it."""
        parts = [problem]
        for kind, path in (("TrainingJob", self.jobs_path), ("Job", self.workloads_path), ("Pod", self.pods_path)):
            for item in self._listed(path):
                owner = item["metadata"].get("labels", {}).get(JOB_LABEL, item["metadata"]["name"])
                if name is None or owner == name:
                    item["metadata"].pop("managedFields", None)
                    parts.append(f"--- {kind} {item['metadata']['name']}\n{yaml.safe_dump(item, sort_keys=False)}")
        parts.append("--- events")
        for event in self._listed(self.events_path):
            about = event["involvedObject"]
            parts.append(f"{event['type']} {about['kind']}/{about.get('name')} {event['reason']}: {event['message']}")
        parts.append(f"--- the end of the operator's log\n{self._operator_log()}")
        return "\n".join(parts)

    def _listed(self, path: str) -> Iterable[JsonObject]:
        try:
            return self.kube.list(path)
        except (Refused, OSError) as error:
            return [{"metadata": {"name": f"(not listed: {error})"}, "involvedObject": {}, "type": ""}]


def phase(job: JsonObject) -> str:
    """Return a TrainingJob's phase."""
    found: str = job.get("status", {}).get("phase", "Pending")
    return found


def condition(job: JsonObject, kind: str) -> JsonObject | None:
    """Return a TrainingJob's condition of a type, or None."""
    conditions: list[JsonObject] = job.get("status", {}).get("conditions", [])
    return next((found for found in conditions if found["type"] == kind), None)


def nodes_of(job: JsonObject) -> list[str]:
    """Return the node that Ballast chose for each pod, by index."""
    return [place["node"] for place in job["status"]["placement"]]


def trainer_end(pod: JsonObject) -> tuple[int, JsonObject]:
    """Return the exit code of a pod's trainer and the result that it left in its termination message."""
    for status in pod["status"].get("containerStatuses", []):
        if status["name"] == "trainer" and "terminated" in status["state"]:
            end = status["state"]["terminated"]
            return end["exitCode"], json.loads(end.get("message") or "{}")
    raise AssertionError(f"the trainer of pod {pod['metadata']['name']} has not ended: {pod['status']}")
