"""The sandbox keeps to the contract in openapi.yaml."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from batchrun.sandbox import SandboxSettings, running

from .strategies import trigger_body

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE = files("batchrun.sandbox").joinpath("openapi.yaml")
CONTRACT: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
KEY = {"x-api-key": "sandbox"}
TRIGGER = "/v1/workflows/trigger"
EXECUTION = "/v1/workflows/executions/{execution_id}"

SCHEMATHESIS = "from schemathesis.cli import schemathesis; schemathesis()"


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with running(SandboxSettings(rate_per_minute=1_000_000, daily=None)) as url:
        yield url.removesuffix("/v1")


@pytest.fixture(scope="module")
def schema() -> Any:
    """The contract's operations; all processes collect these tests, and one imports this."""
    import schemathesis

    return schemathesis.openapi.from_dict(CONTRACT)


def test_the_contract_is_valid_openapi() -> None:
    from openapi_spec_validator import validate

    validate(CONTRACT)


def test_whatever_is_sent_the_answer_is_in_the_contract(origin: str, tmp_path: Path) -> None:
    options = (
        *("--url", origin, "--header", "x-api-key: sandbox", "--max-examples", "60"),
        *("--phases", "examples,coverage,fuzzing", "--generation-deterministic", "--no-color"),
        *("--suppress-health-check", "all"),
    )
    ended = subprocess.run(
        [sys.executable, "-c", SCHEMATHESIS, "run", str(FILE), *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"Tested: {sum(map(len, CONTRACT['paths'].values()))}" in ended.stdout


@pytest.mark.parametrize("key", ["wrong", "sandbox-read", "sandbox-execute"])
def test_refusals_of_a_key_are_in_the_contract(key: str, origin: str, schema: Any) -> None:
    calls = (
        schema["/v1/workflows"]["GET"].Case(),
        schema[TRIGGER]["POST"].Case(body=trigger_body(), media_type="application/json"),
        schema[EXECUTION]["GET"].Case(path_parameters={"execution_id": "exec_0"}),
        schema["/v1/organization/credits"]["GET"].Case(),
    )
    for case in calls:
        case.call_and_validate(base_url=origin, headers={"x-api-key": key})


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [
        (SandboxSettings(), "running"),
        (SandboxSettings(slots=1), "queued"),
        (SandboxSettings(run_cap_seconds=0), "completed"),
        (SandboxSettings(run_cap_seconds=0, fail=1), "failed"),
    ],
)
def test_an_execution_in_each_status_is_in_the_contract(
    behaviour: SandboxSettings, status: str, schema: Any
) -> None:
    with running(behaviour) as url:
        base_url = url.removesuffix("/v1")
        for number in range(2):
            body = trigger_body(number)
            trigger = schema[TRIGGER]["POST"].Case(body=body, media_type="application/json")
            accepted = trigger.call_and_validate(base_url=base_url, headers=KEY).json()
        told = schema[EXECUTION]["GET"].Case(
            path_parameters={"execution_id": accepted["execution_id"]}
        )
        assert told.call_and_validate(base_url=base_url, headers=KEY).json()["status"] == status


def test_a_spent_quota_is_in_the_contract(schema: Any) -> None:
    with running(SandboxSettings(rate_per_minute=1, daily=1, retry_after=True)) as url:
        case = schema["/v1/workflows"]["GET"].Case()
        base_url = url.removesuffix("/v1")
        statuses = [
            case.call_and_validate(base_url=base_url, headers=KEY).status_code for _ in range(2)
        ]
    assert statuses == [200, 429]
