"""Which jobs share what was learned, and how profiles are called."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from ballast.api.jobenergy import KEY_PATTERN, MAX_KEY_LENGTH
from ballast.api.kinds import MAX_NAME_LENGTH, SUBDOMAIN_PATTERN
from ballast.decide.learning.profile_keys import profile_key, profile_name
from tests.builders import job


def key(name: str = "train", **trainer: Any) -> str:
    return profile_key(replace(job(name), trainer=trainer).training_job())


def test_a_key_that_is_given_is_the_key() -> None:
    builder = replace(job("train"), energy={"profileKey": "resnet50-bs256"})
    assert profile_key(builder.training_job()) == "resnet50-bs256"


def test_the_same_program_has_the_same_key_in_any_job() -> None:
    runs = {"image": "example.com/a:1", "command": ["train"], "args": ["--lr", "0.1"]}
    assert key("one", **runs) == key("other", env=[{"name": "SEED", "value": "7"}], **runs)


@pytest.mark.parametrize(
    "other",
    [
        {"image": "example.com/a:2", "args": ["a", "b"]},
        {"image": "example.com/a:1", "args": ["a b"]},
        {"image": "example.com/a:1", "args": ["b", "a"]},
        {"image": "example.com/a:1", "command": ["a", "b"]},
    ],
    ids=str,
)
def test_another_program_has_another_key(other: dict[str, Any]) -> None:
    assert key(image="example.com/a:1", args=["a", "b"]) != key(**other)


def test_a_key_is_a_good_value_of_a_label() -> None:
    assert re.fullmatch(KEY_PATTERN, key())
    assert len(key()) <= MAX_KEY_LENGTH


@pytest.mark.parametrize("text", ["resnet50-bs256", "A_b.C", "x" * 63, "___" + "a", "0"])
def test_a_name_is_one_that_kubernetes_takes(text: str) -> None:
    name = profile_name(text, "NVIDIA-A100-SXM4-80GB")
    assert re.fullmatch(SUBDOMAIN_PATTERN, name)
    assert len(name) < MAX_NAME_LENGTH / 2


def test_names_of_keys_that_read_alike_differ() -> None:
    names = {profile_name(text, "A40") for text in ("a-b", "a_b", "A-b", "a.b")} | {profile_name("a", "b-A40")}
    assert len(names) == 5
