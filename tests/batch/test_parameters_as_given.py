"""A plan sends the parameters as they were when the list was loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from batchrun.batch.request import Request, load_request
from batchrun.estimate import EstimateRates
from batchrun.model import Workflow
from batchrun.settings.model import Settings

if TYPE_CHECKING:
    from batchrun.model import JSON


def test_parameters_that_are_changed_after_the_plan_change_nothing_that_is_sent() -> None:
    inner: dict[str, JSON] = {"depth": 1}
    parameters: dict[str, JSON] = {"tone": "plain", "more": inner}
    frame = pd.DataFrame({"Company ID": ["a1b2c3d4-e5f6-7890-abcd-ef1234567800"]})
    loaded = load_request(Request(frame, "Research", parameters=parameters), Settings())
    plan = loaded.plan(Workflow("wf_1", "Research"), EstimateRates(60, 45))
    before = list(plan.bodies), plan.fingerprint()
    parameters["tone"], inner["depth"] = "loud", 2
    assert (list(plan.bodies), plan.fingerprint()) == before
