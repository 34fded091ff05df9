"""A plotly figure on the page and the sentence that says what it shows: one `gr.HTML`, drawn by assets/viewer/chart.js.

`gr.Plot` builds its chart anew at every value, which flashes and forgets the zoom, and does not follow the dark mode.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr

from rlpips.ui.components import modules

# Found without importing plotly, which would cost a third of a second at every start.
PLOTLY_JS = Path(find_spec("plotly").origin).parent / "package_data" / "plotly.min.js"
SWEEPS = {"2afc": "Right choices over ε", "inflation": "How far a small change looks"}  # titles of `charts.sweep`
_INSIDE = """<p class="chart-says"></p><ul class="chart-legend" aria-label="Metrics shown"></ul>
<div class="chart-plot" role="figure"></div>"""
_PLAIN = f"""<section class="chart" data-name="${{name}}" ${{legend}}><h3>${{title}}</h3>{_INSIDE}</section>"""
_FOLDS = f"""<details class="chart fold" data-name="${{name}}" ${{legend}}><summary><h3>${{title}}</h3></summary>{_INSIDE}</details>"""


def chart(title: str, elem_id: str, empty: str = "", legend: bool = True, folds: bool = False) -> gr.HTML:
    """A chart with a heading. Its values come from `chart_value`; None for nothing but the sentence `empty`.

    folds  whether it is a section that folds in a narrow window (assets/viewer/fold.js)
    """
    gr.set_static_paths([PLOTLY_JS])
    return gr.HTML(
        None, html_template=_FOLDS if folds else _PLAIN, js_on_load=modules.load("chart.js"), apply_default_css=False, elem_id=elem_id,
        elem_classes="panel", title=title, empty=empty, name=elem_id, legend="data-legend" if legend else "",
        plotly=f"gradio_api/file={PLOTLY_JS.as_posix()}",
    )  # fmt: skip


def chart_value(figure: Any, text: str) -> dict:
    """The value of a chart: a plotly figure, and the sentence above it."""
    return {"figure": figure.to_plotly_json(), "says": text}
