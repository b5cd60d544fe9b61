"""A user's own curves: any order of lines, one reference GPU model, and errors that name line and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from ballast.errors import UserError
from ballast.simulate.curves import CurvePoint, read_curves

HEADER = "kind,gpu_model,limit_watts,work_per_second,watts"
GOOD = (
    "train,H100,700,2,600",
    "train,V100,250,1,220",
    "train,V100,100,0.5,95",
)


def written(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "curves.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_a_file_is_read_whatever_the_order_of_its_lines(tmp_path: Path) -> None:
    curves = read_curves(written(tmp_path, *GOOD))
    assert curves.of("train", "V100").points == (CurvePoint(100, 0.5, 95), CurvePoint(250, 1, 220))
    assert (curves.reference_model, curves.measured) == ("V100", True)
    assert curves.source == str(tmp_path / "curves.csv")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "has no curves: add lines"),
        (["train,V100,250,1"], "line 2: is too short"),
        ([*GOOD, ",V100,300,1,1"], "line 5: kind is empty"),
        ([*GOOD, "train,V100,x,1,1"], "line 5: limit_watts is 'x': write a number above 0"),
        ([*GOOD, "train,V100,300,1,-1"], "line 5: watts is '-1'"),
        ([*GOOD, "train,V100,250,1,200"], "limit_watts 250 follows 250: give each power limit once"),
        (GOOD[:1], "on no gpu_model is work_per_second 1 for all kinds"),
        ([*GOOD, "sing,H100,700,2,600"], "on no gpu_model is work_per_second 1 for all kinds"),
    ],
)
def test_what_cannot_be_used_is_told(tmp_path: Path, lines: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        read_curves(written(tmp_path, *lines))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, header="kind,gpu_model,limit_watts,watts")
    with pytest.raises(
        UserError, match="line 1: lacks the column work_per_second: the first line must be kind,gpu_model"
    ):
        read_curves(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.csv: cannot be read"):
        read_curves(tmp_path / "nowhere.csv")
