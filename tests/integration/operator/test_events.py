"""The same note of the same attempt is one event, however often it is sent."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ballast.act import paths
from ballast.act.events import event
from ballast.api.trainingjob import TrainingJob
from ballast.decide.actions import Note
from ballast.kube import ApiRefused, KubeClient
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace

NOTE = Note("Admitted", "1 A100 on a100-0, predicted 304 W")


async def test_a_repeated_event_is_refused(client: KubeClient, namespace: Namespace) -> None:
    namespace.submit(training_job("digits"))
    job = TrainingJob.parse(namespace.job("digits"))
    await client.create(paths.events(namespace.name), event(job, 1, NOTE, datetime.now(UTC)))
    with pytest.raises(ApiRefused) as refusal:
        await client.create(paths.events(namespace.name), event(job, 1, NOTE, datetime.now(UTC)))
    assert refusal.value.status == 409
    [told] = namespace.events("digits")
    assert told["message"] == NOTE.message


async def test_the_next_attempt_tells_it_again(client: KubeClient, namespace: Namespace) -> None:
    namespace.submit(training_job("digits"))
    job = TrainingJob.parse(namespace.job("digits"))
    for attempt in (1, 2):
        await client.create(paths.events(namespace.name), event(job, attempt, NOTE, datetime.now(UTC)))
    assert len(namespace.events("digits")) == 2
