"""Ten evaluations a second, scraped every 15 s: each is known to the operator, or known to be missing."""

from __future__ import annotations

import json
import urllib.request
from urllib.parse import urlencode

import pytest

from ballast.api.exporter import EVALUATIONS, METRICS_PATH, METRICS_PORT, RING
from tests.e2e.kube import JsonObject
from tests.e2e.readings.jobs import is_settled, training
from tests.e2e.readings.stories import Stage, Told

pytestmark = pytest.mark.slow

SECONDS = 45
A_SECOND = 10
SENT = SECONDS * A_SECOND
SCRAPED = {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": str(METRICS_PORT),
    "prometheus.io/path": METRICS_PATH,
    "prometheus.io/interval": "15s",
}
EVALUATE = f"""
import http.client, json, os, time, urllib.parse
url = urllib.parse.urlsplit(os.environ["BALLAST_PROGRESS_URL"])
connection = http.client.HTTPConnection(url.netloc, timeout=5)
while connection.sock is None:  # the exporter has been started before, but may take a while
    try:
        connection.connect()
    except OSError:
        time.sleep(0.2)
begin = time.monotonic()
for number in range(1, {{seconds}} * {A_SECOND} + 1):
    connection.request("POST", url.path, json.dumps(dict(step=number, metrics=dict(loss=1 / number))))
    answer = connection.getresponse()
    answer.read()
    assert answer.status < 300, answer.status
    time.sleep(max(0, begin + number / {A_SECOND} - time.monotonic()))
"""


def evaluations(stage: Stage) -> JsonObject:
    """It evaluates faster than anybody looks, and ends well."""
    namespace = stage.namespace
    job = training("evaluates", stage.a40, seconds=SECONDS, program=EVALUATE).annotated(SCRAPED)
    stopping = {"metric": "loss", "goal": "Minimize", "policies": [{"type": "Divergence"}], "enforcement": "Advise"}
    namespace.submit(job.spec(earlyStopping=stopping))
    namespace.wait_for_phase("evaluates", "Running")
    namespace.wait_for_phase("evaluates", "Succeeded", timeout_seconds=SECONDS + 60)
    end = namespace.wait_for_job("evaluates", is_settled, "its last reading is in the ledger")
    return {"end": end, "counts": _scraped_counts(stage, end["metadata"]["uid"])}


STORIES = (evaluations,)


def test_each_is_known_or_known_to_be_missing(told: Told) -> None:
    story = told.end_of(evaluations)
    progress, counts = story["end"]["status"]["progress"], story["counts"]
    assert len(counts) >= 2, "it was scraped"
    assert progress["evaluations"] == SENT
    # What each scrape saw that the one before had not, and what its last words hold beside that.
    seen = sum(min(RING, after - before) for before, after in zip([0, *counts], [*counts, SENT], strict=False))
    assert progress.get("missedEvaluations", 0) == SENT - seen


def _scraped_counts(stage: Stage, job_uid: str) -> list[int]:
    """Return how many evaluations Prometheus was told of, at each scrape."""
    query = urlencode({"query": f'{EVALUATIONS}{{job_uid="{job_uid}"}}[5m]'})
    url = f"{stage.cluster.prometheus_url}/api/v1/query?{query}"
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - http only
        [series] = json.load(answer)["data"]["result"]
    return [int(float(value)) for _, value in series["values"]]
