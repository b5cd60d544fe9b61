"""Names are known without torch, and each leads to what makes it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from frugal import catalog


def test_names_cost_no_heavy_import() -> None:
    code = "import sys, frugal.catalog; assert not {'torch', 'torchvision', 'sklearn', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


@pytest.mark.parametrize(
    "reference",
    [*catalog.MODELS.values(), *catalog.DATASETS.values(), *(maker for _, maker in catalog.DATA_FAMILIES.values())],
)
def test_every_name_leads_to_a_function(reference: str) -> None:
    assert callable(catalog.resolve(reference))


def test_help_lists_every_name(capsys: pytest.CaptureFixture[str]) -> None:
    from frugal.cli import main

    with pytest.raises(SystemExit):
        main(["train", "--help"])
    # Names may be broken at a hyphen.
    text = "".join(capsys.readouterr().out.split())
    assert "|".join(catalog.MODELS) in text
    assert "|".join(catalog.data_names()) in text
