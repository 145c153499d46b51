"""docs/notebook.ipynb runs in a kernel of Jupyter as it stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import batchrun
from batchrun.errors import ArgumentError
from batchrun.notebook import MAX_SHOWN, TableList

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"


EXECUTE = """
import sys
import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
manager = AsyncKernelManager()
manager._kernel_spec = KernelSpec(  # this Python, whatever kernels are installed
    argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
    language="python",
)
NotebookClient(notebook, timeout=60, km=manager).execute()
nbformat.write(notebook, sys.argv[2])
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The cells of the notebook, with what each has shown."""
    folder = tmp_path_factory.mktemp("notebook")
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BATCHRUN_", "PGAI_"))
    }
    paths = [str(NOTEBOOK.parents[1]), os.environ.get("PYTHONPATH", "")]
    clean |= {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "HOME": str(folder)}
    ended = subprocess.run(
        [sys.executable, "-c", EXECUTE, str(NOTEBOOK), "executed.ipynb"],
        cwd=folder,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    notebook = json.loads((folder / "executed.ipynb").read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if "outputs" in cell]


def _shown(executed: list[dict[str, Any]], source: str) -> str:
    (cell,) = [each for each in executed if "".join(each["source"]).endswith(source)]
    return json.dumps(cell["outputs"])


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("batchrun.workflows(settings=settings)", "<td>Account Research</td>"),
        ("batchrun.batches(settings=settings)", "<th>Batch</th>"),
        ("\nreport", "2 completed"),
        ('report.details("insights").head()', "item"),
    ],
)
def test_the_notebook_shows_tables(executed: list[dict[str, Any]], source: str, shown: str) -> None:
    output = _shown(executed, source)
    assert "text/html" in output
    assert shown in output


def test_a_run_in_jupyter_shows_a_bar(executed: list[dict[str, Any]]) -> None:
    assert "2/2" in _shown(executed, "settings=settings)\nreport")


def test_an_error_in_jupyter_is_one_line(executed: list[dict[str, Any]]) -> None:
    (cell,) = [each for each in executed if "paramters" in "".join(each["source"])]
    (error,) = cell["outputs"]
    assert error["traceback"] == [
        (
            "ArgumentError: batchrun.run has no parameter paramters. "
            "Did you mean parameters or parameter_columns? See: help(batchrun.run)"
        )
    ]


@pytest.mark.parametrize("function", [batchrun.check, batchrun.run])
def test_a_mistyped_parameter_names_the_function_that_was_called(function: Any) -> None:
    with pytest.raises(
        ArgumentError, match=rf"batchrun\.{function.__name__} has no parameter shet"
    ):
        function(pd.DataFrame(), "Account Research", shet="Sheet1")


def test_a_long_list_is_shown_in_part_and_never_as_markup() -> None:
    html = TableList(["<b>"] * (MAX_SHOWN + 1), {"<i>": str})._repr_html_()
    assert html.count("<td>&lt;b&gt;</td>") == MAX_SHOWN
    assert "<i>" not in html
    assert "of 51" in html
