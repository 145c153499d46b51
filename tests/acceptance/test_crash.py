"""The crash benchmark in little: killed at two random moments and once at each named point."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.crash import POINTS
from tests.acceptance.sandbox_process import clean_environment

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL and no fork")
@pytest.mark.timeout(300)
def test_killed_at_any_moment_nothing_is_doubled_lost_or_mixed_up() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.crash", "--runs", "2", "--times", "1", "--rows", "6"],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(re.findall(r"pass 1: killed", ended.stdout)) == len(POINTS)
    kills = re.search(r"^(\d+) kills at random moments of 2 batches", ended.stdout, re.MULTILINE)
    assert kills is not None
    assert int(kills[1]) >= 2
    for zero in ("bodies accepted twice", "rows without an outcome", "results on a wrong row"):
        assert re.search(rf"^{zero} +0$", ended.stdout, re.MULTILINE)
