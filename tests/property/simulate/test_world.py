"""Jobs come, end and are lost in any order: no GPU is promised twice, no gang runs in part, and nobody is forgotten."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ballast.simulate.world.objects import Gang
from ballast.simulate.world.world import World
from tests.unit.simulate.running import FAST, SLOW, job, node


class Days(RuleBasedStateMachine):
    """A cluster's days: whatever happens, the world settles, and what it says of it adds up."""

    def __init__(self) -> None:
        super().__init__()
        self.running: dict[str, dict[str, int]] = {}
        self.gpus: dict[str, int] = {}
        self.waiting: set[str] = set()

    @initialize(sizes=st.lists(st.tuples(st.sampled_from([FAST, SLOW]), st.integers(1, 4)), min_size=1, max_size=4))
    def begin(self, sizes: list[tuple[str, int]]) -> None:
        self.nodes = {f"n{index}": node(f"n{index}", gpus, model) for index, (model, gpus) in enumerate(sizes)}
        self.largest = max(each.gpus for each in self.nodes.values())
        alike, count = Counter(sizes).most_common(1)[0]
        self.most = alike[1] * count if alike[1] == self.largest else self.largest
        self.world = World(self.nodes.values())

    @rule(gpus=st.integers(1, 8), count=st.integers(1, 4))
    def come(self, gpus: int, count: int) -> None:
        for _ in range(count):
            name = f"j{len(self.gpus)}"
            self.gpus[name] = min(gpus, self.largest) if gpus < 7 else self.most
            self.world.submit(job(name, gpus=self.gpus[name]))
            self.waiting.add(name)
        self.settle()

    @rule(seconds=st.floats(0.001, 3000))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.running)))
        self.world.end(name)
        del self.running[name]
        self.settle()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.running)))
        self.world.somebody_deletes_the_workload(name)
        self.settle()

    def settle(self) -> None:
        moment = self.world.settle()
        assert len(set(moment.stopped)) == len(moment.stopped)
        for name in moment.stopped:
            del self.running[name]
            self.waiting.add(name)
        for name, nodes in moment.started.items():
            self.waiting.remove(name)
            self.running[name] = dict(nodes)

    @invariant()
    def no_gpu_is_promised_twice(self) -> None:
        held: Counter[str] = Counter()
        for nodes in self.running.values():
            held.update(nodes)
        assert all(held[name] <= self.nodes[name].gpus for name in held)

    @invariant()
    def gangs_are_whole_and_of_one_gpu_model(self) -> None:
        for name, nodes in self.running.items():
            gang = Gang.of(job(gpus=self.gpus[name]), self.nodes.values())
            assert sum(nodes.values()) == gang.pods * gang.gpus >= self.gpus[name]
            assert len({self.nodes[each].gpu_model for each in nodes}) == 1

    def teardown(self) -> None:
        """In the end everybody has run: who waits gets room as others end, and is tried again after a pause."""
        for _ in range(len(self.gpus) + 1):
            self.world.now += 5000.0
            self.settle()
            for name in list(self.running):
                self.world.end(name)
                del self.running[name]
        self.settle()
        assert not self.waiting
        assert not self.running


Days.TestCase.settings = settings(max_examples=25, stateful_step_count=20)
TestDays = Days.TestCase
