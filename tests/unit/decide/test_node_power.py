"""A node's NodePower and labels are brought to what they should be, and left alone when they are."""

from __future__ import annotations

from ballast.api.labels import GPU_COUNT, GPU_MODEL
from ballast.api.nodepower import FreeGpus, NodePowerSpec
from ballast.decide.actions import LabelNode, WriteNodePower
from ballast.decide.node_power import keep, labels_of
from ballast.decide.operating_point import assignments
from ballast.decide.policy import Policy
from tests.power_builders import ask, gpu, node_power, view

AGENTS = Policy(agents=True)
A40 = ((GPU_COUNT, "1"), (GPU_MODEL, "NVIDIA-A40"))


def test_each_node_gets_one() -> None:
    assert keep(view("a", None), AGENTS) == [WriteNodePower("a", "uid-of-a", NodePowerSpec())]


def test_without_agents_there_are_none() -> None:
    assert keep(view("a", None), Policy()) == []


def test_one_that_is_as_it_should_be_is_left_alone() -> None:
    entries = assignments([ask("uid")], [gpu()])
    assert keep(view("a", node_power("a", gpu(), pods=entries), ask("uid"), labels=A40), AGENTS) == []


def test_an_entry_of_a_pod_that_is_gone_goes() -> None:
    entries = assignments([ask("uid")], [gpu()])
    found = keep(view("a", node_power("a", gpu(), pods=entries), labels=A40), AGENTS)
    assert found == [WriteNodePower("a", "uid-of-a", NodePowerSpec())]


def test_the_admin_chooses_what_becomes_of_free_gpus() -> None:
    [action] = keep(view("a", None), Policy(agents=True, free_gpus=FreeGpus.PARK))
    assert isinstance(action, WriteNodePower)
    assert action.spec.free_gpus is FreeGpus.PARK


def test_what_the_agent_found_is_copied_to_the_node() -> None:
    assert keep(view("a", node_power("a", gpu())), AGENTS) == [LabelNode("a", "uid-of-a", A40)]


def test_labels_go_with_the_gpus() -> None:
    assert keep(view("a", node_power("a"), labels=A40), AGENTS) == [LabelNode("a", "uid-of-a", ())]


def test_a_node_of_several_models_says_so() -> None:
    mixed = node_power("a", gpu("GPU-0"), gpu("GPU-1", "Tesla-V100-SXM2-16GB"))
    assert labels_of(mixed.status) == {GPU_MODEL: "mixed", GPU_COUNT: "2"}


def test_a_model_that_is_no_label_value_is_left_out() -> None:
    assert labels_of(node_power("a", gpu(model="a GPU (rev. 2)")).status) == {GPU_COUNT: "1"}
