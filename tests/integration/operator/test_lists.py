"""A collection is read page by page, all pages of the same moment."""

from __future__ import annotations

import pytest

from ballast import kube
from ballast.kube import ApiRefused, KubeClient
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace


async def test_all_pages_are_read(client: KubeClient, namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube, "PAGE_SIZE", 2)
    names = [f"job-{number}" for number in range(5)]
    namespace.submit(*(training_job(name) for name in names))
    pages = [page async for page in client.list_pages(namespace.jobs_path)]
    assert [len(page["items"]) for page in pages] == [2, 2, 1]
    assert sorted(item["metadata"]["name"] for page in pages for item in page["items"]) == names
    assert len({page["metadata"]["resourceVersion"] for page in pages}) == 1


async def test_what_is_not_served_is_refused(client: KubeClient) -> None:
    with pytest.raises(ApiRefused) as refusal:
        async for _ in client.list_pages("/apis/ballast.dev/v1alpha1/nosuchthings"):
            pass
    assert refusal.value.status == 404
