"""The notebook assets/docs/quickstart.ipynb runs as it stands.

In a real kernel, and not as plain Python: a reader sees what the notebook displays, and only a kernel shows that.
"""

import nbformat
from nbclient import NotebookClient

from rlpips import paths

NOTEBOOK = paths.DOCS / "quickstart.ipynb"


def test_the_notebook_is_valid_and_stored_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert notebook.nbformat == 4
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code and all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_the_notebook_runs_and_shows_the_trace():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)  # figures.overview
    assert any("('lpips', 'rlpips-linf', 'noise')" in output.get("text", "") for output in outputs)
    shown = [output["data"].get("text/html", "") for output in outputs if "data" in output]
    assert any("chelsea_linf4_cosine10_seed0" in text for text in shown)  # the trace itself
