"""G1 while splits change: agents confirm late, out of turn or never, and yet the GPUs never may draw too much."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from ballast.decide.points.power_split import Claim, Held, split, transitions
from tests.curve_builders import A40, fast

KEYS = ("a", "b", "c", "d")


@dataclass
class Agent:
    """Sets what it is asked, some time later; tells of it, later still."""

    gpus: int
    margin: float
    limit: float
    held: Held
    asked: list[float] = field(default_factory=list)
    set_but_untold: bool = False

    def asks(self, limit: float) -> None:
        self.held = self.held.asking(limit)
        self.asked.append(limit)

    def sets(self, index: int) -> None:
        """Set one of the outstanding asks: it may have missed later ones; earlier ones it will never see."""
        if self.asked:
            index %= len(self.asked)
            self.limit = self.asked[index]
            del self.asked[: index + 1]
            self.set_but_untold = True

    def confirms(self) -> None:
        """Tell the limit that it has; asks that it has not seen stay open."""
        if self.set_but_untold:
            self.held = Held(self.gpus, self.limit, tuple(self.asked), self.margin)
            self.set_but_untold = False

    @property
    def draws(self) -> float:
        return self.gpus * self.margin * self.limit


@st.composite
def fleets(draw: st.DrawFn) -> dict[str, Agent]:
    agents = {}
    for key in KEYS[: draw(st.integers(1, 4))]:
        gpus, margin = draw(st.integers(1, 8)), draw(st.sampled_from([1.0, 1.05]))
        limit = float(draw(st.integers(100, 300)))
        agents[key] = Agent(gpus, margin, limit, Held(gpus, limit, (), margin))
    return agents


def targets(agents: dict[str, Agent], shares: dict[str, float], watts: float) -> dict[str, float]:
    """Return a split that fits; weights differ each time, so that limits go up and down."""
    claims = [
        Claim(key, fast(A40), agent.gpus, 100.0, 300.0, shares[key], agent.margin) for key, agent in agents.items()
    ]
    return dict(split(claims, watts).limits)


events = st.tuples(st.sampled_from(["plan", "step", "step", "set", "set", "confirm", "confirm"]), st.integers(0, 20))


@given(st.data(), fleets(), st.lists(events, min_size=5, max_size=60))
def test_the_sum_of_what_gpus_may_draw_never_exceeds_the_watts(
    data: st.DataObject, agents: dict[str, Agent], life: list[tuple[str, int]]
) -> None:
    watts = sum(agent.draws for agent in agents.values()) * data.draw(st.floats(1.0, 1.3))
    after = {key: agent.limit for key, agent in agents.items()}
    for event, number in life:
        agent = list(agents.values())[number % len(agents)]
        if event == "plan":
            weights = data.draw(st.fixed_dictionaries({key: st.sampled_from([0.2, 1.0, 5.0]) for key in agents}))
            after = targets(agents, weights, watts)
        elif event == "step":
            for change in transitions({key: each.held for key, each in agents.items()}, after, watts):
                if change.is_due:
                    agents[change.key].asks(change.limit_watts)
        elif event == "set":
            agent.sets(number)
        else:
            agent.confirms()
        assert sum(each.draws for each in agents.values()) <= watts + 1e-5
        assert sum(each.held.bound_watts for each in agents.values()) <= watts + 1e-5
        assert all(each.held.bound_watts >= each.draws for each in agents.values())


@given(st.data(), fleets())
def test_where_all_agents_answer_the_split_is_reached(data: st.DataObject, agents: dict[str, Agent]) -> None:
    watts = sum(agent.draws for agent in agents.values()) * data.draw(st.floats(1.0, 1.3))
    weights = data.draw(st.fixed_dictionaries({key: st.sampled_from([0.2, 1.0, 5.0]) for key in agents}))
    after = targets(agents, weights, watts)
    for _ in range(len(agents) + 2):
        for change in transitions({key: each.held for key, each in agents.items()}, after, watts):
            if change.is_due:
                agents[change.key].asks(change.limit_watts)
        for agent in agents.values():
            agent.sets(len(agent.asked) - 1)
            agent.confirms()
    assert {key: agent.limit for key, agent in agents.items()} == after


@given(fleets(), st.data())
def test_lowering_comes_first_and_is_always_due(agents: dict[str, Agent], data: st.DataObject) -> None:
    after = data.draw(st.fixed_dictionaries({key: st.integers(100, 300).map(float) for key in agents}))
    found = transitions({key: each.held for key, each in agents.items()}, after, data.draw(st.floats(0, 9000)))
    lowers = [change.limit_watts < agents[change.key].limit for change in found]
    assert lowers == sorted(lowers, reverse=True)
    assert all(change.is_due for change, lower in zip(found, lowers, strict=True) if lower)
    assert {change.key for change in found} == {key for key, agent in agents.items() if after[key] != agent.limit}
