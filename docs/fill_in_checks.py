"""Put into docs/loading.md what `batchrun check` says about the files in sample_data/.

Run from the repository: ``python docs/fill_in_checks.py``. Only what is said of the list is shown:
the workflow, the cost and the first trigger are the same for any list.
"""

from __future__ import annotations

import re
from pathlib import Path

from batchrun.batch.request import Request, load_request
from batchrun.cli.messages import plan_lines
from batchrun.estimate import EstimateRates
from batchrun.model import Workflow
from batchrun.settings.loading import load_settings

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "loading.md"
NOT_OF_THE_LIST = "Workflow:"
PLACE = re.compile(r"(<!-- check (\S+) -->\n```console\n).*?(```\n)", re.DOTALL)


def check(name: str) -> str:
    """What `batchrun check` says of a sample."""
    path = Path("sample_data") / name
    loaded = load_request(Request(ROOT / path, "Account Research"), load_settings())
    plan = loaded.plan(Workflow("wf_account_research", "Account Research"), EstimateRates(60, 60))
    lines = [line for line in plan_lines(plan) if not line.startswith(NOT_OF_THE_LIST)]
    return "\n".join([f'$ batchrun check {path.as_posix()} -w "Account Research"', *lines, ""])


def filled_in(page: str) -> str:
    """The page with each check's output as it is now."""
    return PLACE.sub(lambda found: f"{found[1]}{check(found[2])}{found[3]}", page)


if __name__ == "__main__":
    PAGE.write_text(filled_in(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
