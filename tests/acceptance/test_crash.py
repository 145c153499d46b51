"""The crash benchmark in little: killed at two random moments and once at each named point."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from subprocess import PIPE, STDOUT

import pytest

from benchmarks.crash import POINTS
from tests.acceptance.sandbox_process import clean_environment, started

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL and no fork")
@pytest.mark.timeout(300)
def test_killed_at_any_moment_nothing_is_doubled_lost_or_mixed_up() -> None:
    program = "import sys; from benchmarks import crash; sys.exit(crash.main(sys.argv[1:]))"
    little = ["--runs", "2", "--times", "1", "--rows", "4"]
    command, streams = (sys.executable, "-c", program, *little), {"stdout": PIPE, "stderr": STDOUT}
    with started(*command, cwd=ROOT, env=clean_environment(), **streams) as process:
        shown, _ = process.communicate()
    assert process.returncode == 0, shown
    assert len(re.findall(r"pass 1: killed", shown)) == len(POINTS)
    kills = re.search(r"^(\d+) kills at random moments of 2 batches", shown, re.MULTILINE)
    assert kills is not None
    assert int(kills[1]) >= 2
    for zero in ("bodies accepted twice", "rows without an outcome", "results on a wrong row"):
        assert re.search(rf"^{zero} +0$", shown, re.MULTILINE)
