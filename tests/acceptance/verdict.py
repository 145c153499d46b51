"""Whether a batch lost, doubled or mixed up anything, held against the sandbox's own count."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import batchrun

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.acceptance.sandbox_process import SandboxProcess

WORKFLOW = "Account Research"


def write_list(path: Path, rows: int) -> Path:
    """A list of this many companies."""
    lines = [f"a1b2c3d4-e5f6-7890-abcd-{number:012x},Company {number}" for number in range(rows)]
    path.write_text("\n".join(["Company ID,Name", *lines]) + "\n", encoding="utf-8")
    return path


def exported(env: Mapping[str, str], cwd: Path) -> list[dict[str, Any]]:
    """The newest batch's rows, as `batchrun export` gives them."""
    settings = batchrun.load_settings(journal=env["BATCHRUN_JOURNAL"])
    path = batchrun.export(None, cwd / "verdict.jsonl", settings)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def assert_nothing_lost_or_doubled(
    sandbox: SandboxProcess, env: Mapping[str, str], cwd: Path, rows: int
) -> Counter[str]:
    """Hold a finished batch against what the sandbox saw; its rows by outcome."""
    found = exported(env, cwd)
    outcomes = Counter(row["outcome"] for row in found)
    assert len(found) == outcomes.total() == rows
    assert outcomes["pending"] == 0
    for row in found:
        if row["outcome"] == "completed":
            assert row["result"]["company_id"] == row["input"]["Company ID"]
    report = sandbox.report()
    assert report["triggered_more_than_once"] == []
    # Whatever was accepted is there, or known to be in doubt.
    assert outcomes["completed"] <= report["triggers_accepted"]
    assert report["triggers_accepted"] <= outcomes["completed"] + outcomes["in doubt"]
    return outcomes
