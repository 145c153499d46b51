"""A service that goes wrong in every way: do outcomes and accepted triggers still add up?

    python -m benchmarks.chaos                     2,000 rows, 5 % of the requests of each fault
    python -m benchmarks.chaos --rows 200 --share 0.1

A run of the real command line against the real sandbox, where resets, 5xx, 429, garbage and slow
answers hit triggers and polls alike, half of the resets and 5xx after the service has accepted.
Prints the rows by outcome beside what the sandbox itself counted; exits 1 unless nothing was
accepted twice, lost or put on a wrong row, and the counts agree.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchrun.errors import ExitCode
from batchrun.sandbox import FaultKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.acceptance.sandbox_process import SandboxProcess

SPEED = 200.0
SHARE_THAT_FAILS = 0.02
RESUMES = 20


def main(arguments: Sequence[str] | None = None) -> int:
    from tests.acceptance.sandbox_process import sandbox_process

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--share", type=float, default=0.05, help="of each fault")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    faults = [word for kind in FaultKind for word in ("--fault", f"{kind}={options.share}")]
    sandbox_options = ["--rate", "0", "--seed", str(options.seed), *faults]
    sandbox_options += ["--fail", str(SHARE_THAT_FAILS), "--object-errors", "--wrapped-list"]
    with (
        tempfile.TemporaryDirectory() as folder,
        sandbox_process(*sandbox_options, speed=SPEED) as sandbox,
    ):
        began = time.perf_counter()
        rows, runs = work(sandbox, Path(folder), options.rows)
        seconds = time.perf_counter() - began
        return conclude(rows, sandbox.report(), f"{runs} runs, {seconds:.0f} s, {options}")


def work(sandbox: SandboxProcess, folder: Path, rows: int) -> tuple[list[dict[str, Any]], int]:
    """Run and resume to the end; the exported rows, and how many commands it took."""
    from tests.acceptance.sandbox_process import batchrun
    from tests.acceptance.verdict import WORKFLOW, exported, write_list

    write_list(folder / "accounts.csv", rows)
    # A third of the jobs fail by design: that must not stop the triggers here.
    env = sandbox.environment(folder) | {"BATCHRUN_STOP_AFTER_FAILURES": "0"}
    arguments = ["run", "accounts.csv", "-w", WORKFLOW, "--yes"]
    for number in range(1, RESUMES + 1):
        ended = batchrun(*arguments, env=env, cwd=folder)
        if ended.returncode in {ExitCode.COMPLETED, ExitCode.INCOMPLETE}:
            return exported(env, folder), number
        if ended.returncode != ExitCode.PAUSED:
            raise AssertionError(ended.stderr)
        print(f"run {number}: {ended.stdout.splitlines()[-4:]}", file=sys.stderr)
        arguments = ["resume"]
    raise AssertionError(f"not done after {RESUMES} resumes")


def conclude(rows: list[dict[str, Any]], report: dict[str, Any], how: str) -> int:
    """Print the counts; 0 when they agree."""
    outcomes = Counter(row["outcome"] for row in rows)
    wrong = sum(
        row["outcome"] == "completed" and row["result"]["company_id"] != row["company_id"]
        for row in rows
    )
    twice = len(report["triggered_more_than_once"])
    lost = outcomes["pending"] + outcomes["timed out"]
    known = outcomes["completed"] + outcomes["failed"]
    accepted, unheard = report["triggers_accepted"], report["accepted_unheard"]
    print(
        f"{how}\n"
        f"rows                     {len(rows)}: "
        f"{', '.join(f'{number} {outcome}' for outcome, number in outcomes.most_common())}\n"
        f"requests                 {report['requests']}, faults {report['faults']}\n"
        f"bodies accepted twice    {twice}\n"
        f"rows without an outcome  {lost}\n"
        f"results on a wrong row   {wrong}\n"
        f"accepted triggers        {accepted} = {known} with an end known to us "
        f"+ {unheard} accepted unheard, of {outcomes['in doubt']} in doubt"
    )
    agree = accepted == known + unheard and unheard <= outcomes["in doubt"]
    return int(bool(twice or lost or wrong or not agree))


if __name__ == "__main__":
    sys.exit(main())
