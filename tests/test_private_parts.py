"""The private parts of other libraries that the project uses: all of them, each with its reason and a test that fails clearly
when an upgrade breaks it. A part is private if its name begins with an underscore, or if it is markup or an operator that its
library does not document."""

import ast
import inspect
import re
from pathlib import Path

import browser as b
import gradio as gr
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from rlpips import paths
from rlpips.ui.runtime import files

PYTHON = {  # name: (where it is used, why)
    "_NoTrainLpips": (
        "rlpips/benchmark/packages.py",
        "torchmetrics' LPIPS with our weights; its public class downloads weights",
    ),
    "_convolution_pointwise": ("rlpips/engine/convolutions.py", "convolutions with weights that are ordered once"),
    "_reorder_convolution_weight": ("rlpips/engine/convolutions.py", "orders the weights of a convolution once"),
    "_is_mkldnn_bf16_supported": ("rlpips/engine/convolutions.py", "whether oneDNN may multiply bfloat16 on this CPU"),
}
OPERATORS = {  # of torch.ops: (where it is used, why)
    "aten.threshold_backward.grad_input": (
        "rlpips/engine/fast_trunk.py",
        "writes a ReLU's gradient over the gradient it reads",
    ),
    "aten.max_pool2d_with_indices_backward": (
        "rlpips/engine/fast_trunk.py",
        "the gradient of a max pool without autograd",
    ),
}
UNDOCUMENTED = {  # names without an underscore that Gradio's documentation does not mention: (where they are used, why)
    "GRADIO_ANALYTICS_MAX_EVENTS": (
        "app.py",
        "Gradio summarises its last events after each; 10,000 of them by default",
    ),
    "gradio_config": ("rlpips/ui/components/modules.py", "the path under which a proxy serves the page"),
    "app.config": ("rlpips/ui/runtime/files.py", "the files that the page opens with, which are never deleted"),
}
CLASSES = {  # of Gradio's elements: why the style sheets, or the script named, rely on them
    "gradio-container": "the page uses the whole width",
    "main": "the page uses the whole width",
    "dark": "colours of the dark mode (chart.js asks for it, too)",
    "block": "borders and padding of components (viewer.js looks for the one around it)",
    "padded": "controls closer together than Gradio's settings allow",
    "row": "controls closer together",
    "wrap-inner": "dropdowns as narrow as a control",
    "secondary-wrap": "dropdowns as narrow as a control",
    "icon-wrap": "the arrow of a narrow dropdown, and no icon in an upload field",
    "html-container": "no padding around the masthead, hints and status lines",
    "tab-wrapper": "tabs beside the masthead",
    "tab-container": "tabs beside the masthead",
    "tabitem": "no frame around a page",
    "selected": "the chosen tab, and the chosen thumbnail (samples.py asks for it, too)",
    "grid-wrap": "a grid of small pictures without a frame",
    "grid-container": "the columns of that grid",
    "thumbnail-item": "square thumbnails (samples.py asks for them, too)",
    "caption-label": "captions below the recorded duels",
    "upload-container": "an upload field of one line",
    "wrap": "an upload field of one line",
    "file-preview": "uploaded files in little room",
    "file-preview-holder": "uploaded files in little room",
    "katex-display": "wide formulas scroll",
}


def underscored(path):
    """(object, name) of every underscored import and attribute in a file, but for those of self, cls and named tuples."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module, alias.name) for alias in node.names if re.match(r"_[A-Za-z]", alias.name))
        if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr):
            owner = ast.unparse(node.value)
            if owner not in ("self", "cls") and node.attr not in ("_replace", "_asdict"):
                yield owner, node.attr


def test_the_list_of_underscored_names_is_complete():
    files = [paths.ROOT / "app.py", *(paths.ROOT / "rlpips").rglob("*.py")]
    source = "\n".join(path.read_text("utf-8") for path in files)
    own = set(re.findall(r"def (_\w+)|self\.(_\w+)\b.* = |self\.(_\w+)\b.*:.* =", source))
    own = {name for names in own for name in names} - PYTHON.keys()
    private = {
        name: str(path.relative_to(paths.ROOT))
        for path in files
        for owner, name in underscored(path)
        if name not in own or owner in ("app", "gr", "torch")
    }
    assert private == {name: where for name, (where, _) in PYTHON.items()}


def test_the_list_of_operators_is_complete():
    uses = {
        (operator, str(path.relative_to(paths.ROOT)))
        for path in (paths.ROOT / "rlpips").rglob("*.py")
        for operator in re.findall(r"torch\.ops\.(aten[\w.]+)\(", path.read_text("utf-8"))
    }
    assert uses == {(operator, where) for operator, (where, _) in OPERATORS.items()}


def test_the_undocumented_names_are_used_where_the_list_says():
    for name, (where, _) in UNDOCUMENTED.items():
        assert name in (paths.ROOT / where).read_text("utf-8"), name


def test_gradio_reads_the_limit_of_its_events(monkeypatch):
    monkeypatch.setenv("GRADIO_ANALYTICS_MAX_EVENTS", "100")
    with gr.Blocks() as app:
        pass
    assert app.queue()._queue.ANALYTICS_MAX_EVENTS == 100


def test_the_configuration_of_a_page_holds_the_files_it_opens_with(tmp_path):
    with gr.Blocks() as app:
        gr.Image(np.zeros((40, 48, 3), np.uint8))
    assert [file for file in files.paths(app.config) if Path(file).is_file()]


def test_torchmetrics_takes_weights_without_a_download():
    module = pytest.importorskip("torchmetrics.functional.image.lpips")
    assert set(inspect.signature(module._NoTrainLpips).parameters) >= {"net", "pnet_rand"}


def test_ordered_convolutions_are_convolutions():
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    weight, x = torch.randn(6, 4, 3, 3), torch.randn(2, 4, 9, 7)
    ordered = torch.ops.mkldnn._reorder_convolution_weight(weight, [1, 1], [1, 1], [1, 1], 1, list(x.shape))
    y = torch.ops.mkldnn._convolution_pointwise(x, ordered, None, [1, 1], [1, 1], [1, 1], 1, "none", [], "")
    torch.testing.assert_close(y, F.conv2d(x, weight, padding=1), atol=1e-5, rtol=1e-4)
    assert isinstance(torch.ops.mkldnn._is_mkldnn_bf16_supported(), bool)


def test_the_operators_give_the_gradients_of_autograd():
    x = torch.randn(2, 3, 9, 7, requires_grad=True)
    y = x.relu()
    gradient = torch.randn(y.shape)
    (expected,) = torch.autograd.grad(y, x, gradient)
    result = gradient.clone()
    torch.ops.aten.threshold_backward.grad_input(result, y.detach(), 0, grad_input=result)
    torch.testing.assert_close(result, expected)
    y, indices = F.max_pool2d(x, 3, 2, return_indices=True)
    gradient = torch.randn(y.shape)
    (expected,) = torch.autograd.grad(y, x, gradient)
    options = [3, 3], [2, 2], [0, 0], [1, 1], False
    result = torch.ops.aten.max_pool2d_with_indices_backward(gradient, x.detach(), *options, indices)
    torch.testing.assert_close(result, expected)


def test_the_list_of_classes_is_complete():
    styles = [*paths.VIEWER.glob("*.css"), paths.ROOT / "rlpips/ui/components/theme.py"]
    names = {
        name
        for path in styles
        for name in re.findall(r"\.([a-zA-Z][\w-]*)(?=[\s.:{,>\[)~+#])", path.read_text("utf-8"))
    }
    sources = [*paths.VIEWER.glob("*.html"), *paths.VIEWER.glob("*.js"), *(paths.ROOT / "rlpips/ui").rglob("*.py")]
    ours = "\n".join(path.read_text("utf-8") for path in sources if path.name != "theme.py")
    foreign = {name for name in names if not re.search(rf"[\"' `]{name}[\"' `]", ours)}
    assert foreign <= CLASSES.keys() | {"Base", "HTML", "VIEWER", "themes"}  # these four are Python


def test_gradio_gives_its_elements_these_classes(server, chromium, tmp_path):
    Image.new("RGB", (40, 48)).save(tmp_path / "grey.png")
    with b.visit(chromium, server.url, color_scheme="dark") as page:
        b.ready(page)
        b.upload(page, "#upload", tmp_path / "grey.png")
        for tab in ("Gallery", "How it works"):
            b.tab(page, tab)
        page.wait_for_selector(".katex-display", state="attached")
        missing = [name for name in CLASSES if not page.locator(f".{name}").count()]
        assert isinstance(page.evaluate("window.gradio_config.root"), str)
    assert missing == []
