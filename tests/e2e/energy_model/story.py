"""One story that all tests of this folder look at: jobs learn side by side on a node of A40s.

`auto` is Ballast's to choose for; its operator dies while a limit is tried out. `untouched` has mode None and `fixed` a
point of its user's. When the choice for `auto` stands, `again` comes with the same key, and `stranger` with that key in
another namespace. Everything that is told of boards is the simulator's own, past agent and operator.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from urllib.error import URLError

from ballast.api.exporter import STEP
from tests.e2e.agent.conftest import GpuSite
from tests.e2e.energy_model.sampled import Sampled, busy_share, is_even
from tests.e2e.energy_model.trainer import training
from tests.e2e.energy_model.versions import Versions
from tests.e2e.kube import JsonObject
from tests.e2e.namespace import Namespace
from tests.e2e.operators import Operators
from tests.e2e.readings import exporters

KEY = "digits"
FIXED_WATTS = 200
LEARNED_WITHIN_SECONDS = 240.0
COMPARED_SECONDS = 12.0
COMPARED_TIMES = 5
PROFILES = "/apis/ballast.dev/v1alpha1/namespaces/{}/energyprofiles"


@dataclass(frozen=True)
class Spent:
    """What a board counted while its job made steps."""

    joules: float
    steps: float
    seconds: float

    def busy(self, limit_watts: float) -> float:
        """Return the share of the time in which the trainer kept its board, at this limit, busy."""
        return busy_share(limit_watts, self.joules / self.seconds)

    @property
    def joules_per_step(self) -> float:
        """For each step."""
        return self.joules / self.steps


@dataclass
class Story:
    """What happened.

    Attributes:
        visited: `auto` at a limit that was tried out, when the operator died.
        limit_while_dead: of its board, when the operator had been dead for a while.
        chosen: `auto` when the choice stood.
        stays: the limits that `auto` was at until the choice stood, in this order, and for how many seconds.
        profiles: by key, of the jobs' namespace.
        busy: by limit, the share of the time in which the trainer of `auto` kept its board busy.
        spent: by job, over the same time, after the choice.
        known: the best limit, when `again` was submitted.
        again: `again` each time that anything about it changed.
        stranger: `stranger`, likewise.
        strangers_profiles: of its namespace, when a limit had been chosen for it.
        events: of `auto`.
        limits_asked: by job, what its board was told to have until the choice stood, in watts.
    """

    visited: JsonObject = field(default_factory=dict)
    limit_while_dead: float = 0.0
    chosen: JsonObject = field(default_factory=dict)
    stays: list[tuple[float, float]] = field(default_factory=list)
    profiles: dict[str, JsonObject] = field(default_factory=dict)
    busy: dict[float, float] = field(default_factory=dict)
    spent: dict[str, Spent] = field(default_factory=dict)
    known: float = 0.0
    again: list[JsonObject] = field(default_factory=list)
    stranger: list[JsonObject] = field(default_factory=list)
    strangers_profiles: list[JsonObject] = field(default_factory=list)
    events: list[JsonObject] = field(default_factory=list)
    limits_asked: dict[str, list[float]] = field(default_factory=dict)

    @property
    def is_fair(self) -> bool:
        """Whether the trainer of `auto` had its CPU at one limit as at the other, so that they can be compared."""
        return is_even(self.busy.values())

    @property
    def limits(self) -> list[float]:
        """The limits that `auto` was at until the choice stood, and that which was chosen."""
        return [*(limit for limit, _ in self.stays), limit_of(self.chosen) or 0.0]


@dataclass(frozen=True)
class Place:
    """Where jobs are.

    Attributes:
        namespace: theirs.
        versions: what is seen of them.
    """

    namespace: Namespace
    versions: Versions


def tell(site: GpuSite, operators: Operators, settings: Mapping[str, str], home: Place, abroad: Place) -> Story:
    """Let it happen.

    Args:
        site: the node, with agents.
        operators: whoever operates the cluster; one with these settings runs.
        settings: of the operator.
        home: where the jobs are.
        abroad: where the stranger is.
    """
    team, others = home.namespace, abroad.namespace
    story = Story()
    site.gpus.forget_calls()
    team.submit(
        training("auto", site.node, KEY),
        training("untouched", site.node, "left-alone", mode="None"),
        training("fixed", site.node, "held", watts=FIXED_WATTS),
    )
    uuids = {name: _uuid(team, name) for name in ("auto", "untouched", "fixed")}
    exporters.wait_for_sum_of(STEP, team.pods("auto")[0])  # what its board draws before is not that of its training
    with Sampled(site.gpus, uuids["auto"]) as sampled:
        _learn(story, site, operators, settings, team, uuids["auto"])
        story.spent = _spent(site, team, uuids, limit_of(story.chosen) or 0.0)
        story.profiles = {each["spec"]["profileKey"]: each for each in team.kube.list(PROFILES.format(team.name))}
        story.busy = sampled.busy()
    story.stays = _stays(home.versions.of("auto", until=story.chosen))
    story.events = team.events("auto")
    story.limits_asked = {name: _asked(site, uuid) for name, uuid in uuids.items()}

    # More is measured all the time, and what is best may have moved.
    story.known = limit_of(team.wait_for_job("auto", is_chosen, "the choice stands", LEARNED_WITHIN_SECONDS)) or 0.0
    for namespace, name in ((team, "again"), (others, "stranger")):
        namespace.submit(training(name, site.node, KEY))
        if name == "again":
            team.delete_job("fixed")  # there are four boards
    uuids["again"] = _uuid(team, "again")
    site.wait_until(
        lambda: site.gpus.gpu(uuids["again"]).power_limit_watts == story.known, "`again` is at the known limit"
    )
    uuids["stranger"] = _uuid(others, "stranger")
    chosen_abroad = others.wait_for_job("stranger", lambda job: limit_of(job) is not None, "a limit is chosen for it")
    story.strangers_profiles = others.kube.list(PROFILES.format(others.name))
    story.again = home.versions.of("again", until=team.job("again"))
    story.stranger = abroad.versions.of("stranger", until=chosen_abroad)
    return story


def _learn(
    story: Story, site: GpuSite, operators: Operators, settings: Mapping[str, str], team: Namespace, uuid: str
) -> None:
    """Wait until `auto`, which has this board, is learned; kill the operator meanwhile."""

    def is_visiting() -> bool:
        story.visited = team.job("auto")
        return limit_of(story.visited) in {site.gpus.gpu(uuid).power_limit_watts} - {site.found_watts}

    site.wait_until(is_visiting, "a limit is tried out, and set", LEARNED_WITHIN_SECONDS)
    operators.shared(settings).kill()
    time.sleep(3)
    story.limit_while_dead = site.gpus.gpu(uuid).power_limit_watts
    operators.shared(settings)

    story.chosen = team.wait_for_job("auto", is_chosen, "the best limit is chosen", LEARNED_WITHIN_SECONDS)
    chosen = limit_of(story.chosen)
    site.wait_until(lambda: site.gpus.gpu(uuid).power_limit_watts == chosen, "the chosen limit is set")


def limit_of(job: JsonObject) -> float | None:
    """Return the power limit that Ballast has chosen for a job."""
    point = job["status"].get("operatingPoint")
    return None if point is None else float(point["powerLimitWatts"])


def is_chosen(job: JsonObject) -> bool:
    """Return whether the choice rests on measurements, and nothing is being tried out."""
    why = (job["status"].get("operatingPoint") or {}).get("why", "")
    return "fewer joules" in why and "measured" in why and "to learn" not in why


def _uuid(namespace: Namespace, name: str) -> str:
    """Wait until a job runs and its agent has seen its GPU; return which it is."""
    job = namespace.wait_for_job(
        name,
        lambda job: (
            job.get("status", {}).get("phase") == "Running"
            and all(place.get("gpuUuids") for place in job["status"]["placement"])
        ),
        f"{name} runs on a GPU",
    )
    [place] = job["status"]["placement"]
    [uuid] = place["gpuUuids"]
    return str(uuid)


def _spent(site: GpuSite, namespace: Namespace, uuids: Mapping[str, str], chosen: float) -> dict[str, Spent]:
    """Return what boards count, and what their jobs do, over the same time for all.

    On a machine that is busy with other things this is looked at again: until the trainers had their CPU.

    Args:
        site: the node.
        namespace: where the jobs are.
        uuids: of the boards, by job.
        chosen: the limit of `auto`.
    """
    limits = {"auto": chosen, "untouched": site.found_watts, "fixed": float(FIXED_WATTS)}
    for _ in range(COMPARED_TIMES):
        spent = _spent_once(site, namespace, uuids)
        if is_even(spent[name].busy(limit) for name, limit in limits.items()):
            break
    return spent


def _spent_once(site: GpuSite, namespace: Namespace, uuids: Mapping[str, str]) -> dict[str, Spent]:
    pods = {name: namespace.pods(name)[0] for name in uuids}
    began = {name: _reading(site, pods[name], uuid) for name, uuid in uuids.items()}
    time.sleep(COMPARED_SECONDS)
    ended = {name: _reading(site, pods[name], uuid) for name, uuid in uuids.items()}
    return {
        name: Spent(*(after - before for before, after in zip(began[name], ended[name], strict=True))) for name in uuids
    }


def _reading(site: GpuSite, pod: JsonObject, uuid: str) -> tuple[float, float, float]:
    """Return joules, steps and time at the moment of a report of the trainer."""
    before = exporters.sum_of(STEP, pod)
    deadline = time.monotonic() + 60
    while (step := _step(pod, before)) == before:
        assert time.monotonic() < deadline, f"{pod['metadata']['name']} reports nothing new"
        time.sleep(0.02)
    return site.gpus.gpu(uuid).energy_joules, step, time.monotonic()


def _step(pod: JsonObject, otherwise: float) -> float:
    try:
        return exporters.sum_of(STEP, pod)
    except (URLError, OSError):
        return otherwise


def _stays(versions: Iterable[JsonObject]) -> list[tuple[float, float]]:
    """Return at which limits a job was, and for how many seconds, but for the last."""
    points = [point for job in versions if (point := job.get("status", {}).get("operatingPoint")) is not None]
    began = [(float(point["powerLimitWatts"]), datetime.fromisoformat(point["since"])) for point in points]
    changes = [each for index, each in enumerate(began) if index == 0 or began[index - 1][0] != each[0]]
    return [(limit, (until - since).total_seconds()) for (limit, since), (_, until) in pairwise(changes)]


def _asked(site: GpuSite, uuid: str) -> list[float]:
    calls = (call for call in site.gpus.calls() if call.uuid == uuid)
    return [call.arguments[0] / 1000 for call in calls if "PowerManagementLimit" in call.name]
