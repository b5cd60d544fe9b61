"""Which GPU model a gang gets: the least predicted joules among those that are fast enough."""

from __future__ import annotations

import pytest

from ballast.decide.gpu_models import A40, A100, H100, KNOWN_MODELS, P100, V100
from ballast.decide.placement import rank
from tests.builders import PRODUCTS, job, node
from tests.unit.decide.placing import placed

CLUSTER = [node(model.name.lower()).with_gpus(model.name, 8) for model in KNOWN_MODELS]


def test_every_known_model_is_found_by_its_product_label() -> None:
    assert {cluster_node.build().gpu_model for cluster_node in CLUSTER} == set(KNOWN_MODELS)
    assert set(PRODUCTS) == {model.name for model in KNOWN_MODELS}


def test_within_the_slowdown_the_fewest_joules_win() -> None:
    # A100 draws fewer joules than H100 for the same work, but needs 70 % more time.
    assert A100.joules_per_work < H100.joules_per_work
    patient = job("train").with_gpus(1).slowed_by_at_most(70)
    assert placed(patient, *CLUSTER).gpu_model is A100


def test_a_model_that_is_too_slow_is_not_taken_however_frugal() -> None:
    hurried = job("train").with_gpus(1).slowed_by_at_most(69)
    assert placed(hurried, *CLUSTER).gpu_model is H100


def test_slowdown_counts_against_the_fastest_model_that_could_hold_the_gang() -> None:
    # The only H100 is too small for the gang: A100 is then the fastest, and not too slow any more.
    two = job("train").with_gpus(4).replicas(2).slowed_by_at_most(0)
    assert placed(two, node("h").with_gpus("H100", 4), node("a").with_gpus("A100", 8)).gpu_model is A100


def test_a_full_best_model_gives_way_to_the_next_best() -> None:
    patient = job("train").with_gpus(1).slowed_by_at_most(70)
    full = node("a").with_gpus("A100", 8).using(gpus=8)
    assert placed(patient, full, node("h").with_gpus("H100", 8)).gpu_model is H100


@pytest.mark.parametrize(
    ("objective", "order"),
    [
        ("MinimizeTime", [H100, A100, A40, V100, P100]),
        ("MinimizeEnergy", [A100, H100, V100, A40, P100]),
        ("Balanced", [H100, A100, A40, V100, P100]),
    ],
)
def test_objectives(objective: str, order: list[object]) -> None:
    gang = job("train").with_gpus(1).minimizing(objective).slowed_by_at_most(1000).gang()
    assert rank(gang, KNOWN_MODELS)[: len(order)] == order


def test_balanced_differs_from_the_fewest_joules() -> None:
    asking = job("train").with_gpus(1).slowed_by_at_most(1000)
    assert rank(asking.minimizing("MinimizeEnergy").gang(), [A100, H100]) == [A100, H100]
    assert rank(asking.minimizing("Balanced").gang(), [A100, H100]) == [H100, A100]


def test_an_unlisted_model_is_the_last_resort_among_modern_ones() -> None:
    asking = job("train").with_gpus(1).slowed_by_at_most(1000)
    strange = node("a").with_gpus("ACME-Turbo-9", 8)
    assert placed(asking, strange, node("b").with_gpus("V100", 8)).gpu_model is V100
    alone = placed(asking, strange)
    assert alone.gpu_model is not None
    assert alone.gpu_model.name == "ACME-Turbo-9"


def test_the_prediction_covers_the_whole_gang() -> None:
    two = job("train").with_gpus(4).replicas(2)
    assert placed(two, node("a").with_gpus("A100", 8)).predicted_watts == 8 * A100.training_watts


def test_the_message_says_what_it_saves() -> None:
    patient = job("train").with_gpus(2).slowed_by_at_most(70)
    percent = 100 * (1 - A100.joules_per_work / H100.joules_per_work)
    told = placed(patient, node("a").with_gpus("A100", 8), node("h").with_gpus("H100", 8)).message
    assert told == (f"2 A100 on a, predicted 608 W, {percent:.0f} % fewer joules for the same work than on H100")
