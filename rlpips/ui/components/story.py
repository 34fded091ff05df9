"""The story: what offers it on the page. Its scenes and scripts are in assets/story/, and come when somebody asks for them."""

import gradio as gr

_OFFER = '<button type="button"><span aria-hidden="true">▸</span> A lesson in seven scenes</button>'
_STYLE = """button { display: flex; gap: 8px; align-items: baseline; width: 100%; padding: 6px 10px; border: 1px solid var(--border-color-primary);
  border-radius: 8px; background: var(--block-background-fill); color: var(--body-text-color); font-size: 14px; font-weight: 600;
  line-height: 1.4; text-align: left; cursor: pointer; }
button span { color: #b34700; }
button:hover { border-color: currentColor; }
button:focus-visible { outline: 2px solid var(--color-accent, #4a7dff); outline-offset: 1px; }
"""


def offer() -> gr.HTML:
    """The line that offers the story; assets/viewer/address.js opens it."""
    return gr.HTML(None, html_template=_OFFER, css_template=_STYLE, elem_id="story", apply_default_css=False)
