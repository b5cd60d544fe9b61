"""The guide's examples run: on made-up files of the layouts that it describes, they give traces that can be read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from ballast.simulate.inputs.cluster import read_cluster
from ballast.simulate.inputs.trace import read_trace
from tests.unit.simulate.published import CHECKOUT

GUIDE = (CHECKOUT / "docs" / "guide" / "simulate-files.md").read_text(encoding="utf-8")

HELIOS = """\
job_id,user,vc,gpu_num,cpu_num,node_num,state,submit_time,start_time,end_time,duration,queue
2,uB,vcB,4,16,1,FAILED,2020-06-09 18:41:31,2020-06-09 18:41:31,2020-06-09 18:45:40,249,0
1,uA,vcA,1,1,1,COMPLETED,2020-06-09 18:41:01,2020-06-09 18:42:01,2020-06-09 19:42:01,3600,60
3,uA,vcA,0,8,1,COMPLETED,2020-06-09 18:41:40,2020-06-09 18:41:40,2020-06-09 18:42:40,60,0
4,uA,vcA,8,8,1,CANCELLED,2020-06-09 18:41:50,2020-06-09 18:41:50,2020-06-09 18:41:50,0,0
"""
PAI_JOBS = """\
whole,i1,ann,Terminated,1000.0,2100.0
half,i2,bob,Terminated,940.0,1500.0
cpu,i3,bob,Terminated,900.0,1500.0
died,i4,bob,Failed,900.0,1500.0
"""
PAI_TASKS = """\
whole,ps,2.0,Terminated,1010.0,2100.0,600.0,29.3,,
whole,worker,4.0,Terminated,1050.0,2050.0,600.0,29.3,100.0,V100
whole,evaluator,1.0,Terminated,1100.0,2100.0,600.0,29.3,50.0,V100
half,tensorflow,1.0,Terminated,950.0,1450.0,600.0,29.3,50.0,MISC
cpu,tensorflow,1.0,Terminated,950.0,1450.0,600.0,29.3,,
died,tensorflow,1.0,Failed,950.0,,600.0,29.3,100.0,T4
"""
PHILLY = """\
timestamp,duration,num_gpus,gpu_time,cluster
2017-11-08 08:12:11,57.0,1,57.0,11cb48
2017-11-08 07:33:10,1896.0,12,22752.0,6c71a0
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def script(mark: str) -> str:
    (found,) = (block for block in blocks("python") if mark in block)
    return found


def run(code: str, folder: Path, given: str = "") -> str:
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT / "operator")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        input=given,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    return done.stdout


def test_the_cluster_is_read(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(blocks("yaml")[0])
    assert len(read_cluster(tmp_path / "cluster.yaml")) == 6


def test_the_trace_is_read(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text(blocks("csv")[0])
    assert [(job.name, job.deadline, job.group) for job in read_trace(tmp_path / "jobs.csv")] == [
        ("train-1", None, "vision"),
        ("train-2", 30000, "language"),
    ]


def test_phillys_trace_becomes_ours(tmp_path: Path) -> None:
    (tmp_path / "philly.csv.gz").write_text(PHILLY)
    run(script("read_philly"), tmp_path)
    jobs = read_trace(tmp_path / "jobs.csv")
    assert [(job.submitted_at, job.gpus, job.reference_seconds, job.group) for job in jobs] == [
        (0, 16, 1896, "6c71a0"),
        (2341, 1, 57, "11cb48"),
    ]


def test_helios_becomes_ours(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text(run(script("helios.py"), tmp_path, HELIOS))
    jobs = read_trace(tmp_path / "jobs.csv")
    assert [(job.name, job.submitted_at, job.gpus, job.reference_seconds, job.group) for job in jobs] == [
        ("1", 0, 1, 3600, "vcA"),
        ("2", 30, 4, 249, "vcB"),
    ]


def test_alibabas_trace_becomes_ours(tmp_path: Path) -> None:
    (tmp_path / "pai_job_table.csv").write_text(PAI_JOBS)
    (tmp_path / "pai_task_table.csv").write_text(PAI_TASKS)
    (tmp_path / "jobs.csv").write_text(run(script("pai.py"), tmp_path))
    jobs = read_trace(tmp_path / "jobs.csv")
    assert [(job.name, job.submitted_at, job.gpus, job.reference_seconds, job.group) for job in jobs] == [
        ("half", 0, 1, 500, "bob"),
        ("whole", 60, 5, 1050, "ann"),
    ]
