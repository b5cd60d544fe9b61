"""Outside any pod, and without a sender from the test before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ballast import progress, progress_sender


@pytest.fixture(autouse=True)
def _outside_any_pod(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (progress.URL_VARIABLE, "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(progress, "_sender", None)
    monkeypatch.setattr(progress, "_complained", False)
    monkeypatch.setattr(progress_sender, "RETRY_SECONDS", (0.01,))
    monkeypatch.setattr(progress_sender, "INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(progress_sender, "HURRY_SECONDS", 0.0)
    yield
    progress.flush(0)
