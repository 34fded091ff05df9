"""Look of the page around the viewer: a quiet theme, and the little CSS that Gradio has no setting for."""

import gradio as gr

from rlpips import paths

# System fonts alone: a page must not ask anybody's font server.
FONT = ("ui-sans-serif", "system-ui", "sans-serif")
MONO = ("ui-monospace", "Consolas", "monospace")
# A pixel of the page: 1 px in windows up to 960 px, 1.08 at 1280, 1.23 at 1920, 1.55 at most.
PX = "clamp(1px, 0.7693px + 0.02404vw, 1.55px)"
TEXT = dict(xxs=9, xs=10, sm=12, md=13, lg=16, xl=20, xxl=24)  # of Gradio's own parts, in such pixels


def theme() -> gr.themes.Base:
    """Black on white with thin lines; colour is left to the metrics."""
    return gr.themes.Base(
        primary_hue="neutral", neutral_hue="slate", font=FONT, font_mono=MONO, spacing_size="sm",
        text_size=gr.themes.Size(**{name: f"calc({size} * {PX})" for name, size in TEXT.items()}, name="text_fluid"), radius_size="md",
    ).set(
        button_primary_background_fill="#16181d", button_primary_background_fill_hover="#33373f",
        button_primary_text_color="#ffffff", button_primary_background_fill_dark="#f1f3f5",
        button_primary_background_fill_hover_dark="#ffffff", button_primary_text_color_dark="#16181d",
        body_background_fill="#f8f9fb", block_shadow="none", body_text_color_subdued="#5b6575",
        block_label_text_color="#5b6575", block_title_text_color="#454e5c",
        button_transition="none",  # at Run the browser has other things to draw than a button that fades
    )  # fmt: skip


CSS = f":root {{ --px: {PX}; --controls: clamp(272px, 185px + 7.4vw, 380px); }}"
CSS += """
.gradio-container > main, .gradio-container .main { padding: 0 16px 12px !important; max-width: none !important; }
#masthead { position: absolute; top: 0; left: 16px; height: 46px; z-index: 2; pointer-events: none; }
#masthead header { display: flex; align-items: baseline; gap: 12px; line-height: 46px; white-space: nowrap; }
#masthead h1 { font-size: calc(17 * var(--px)); font-weight: 700; margin: 0; line-height: inherit; }
#masthead p { margin: 0; color: var(--body-text-color-subdued); }
/* Gradio pads the box around every gr.HTML, also with padding=False. */
#masthead > .html-container, #story > .html-container, #judge > .html-container, #judge-class > .html-container,
#judge-score > .html-container, #pairs > .html-container, .status > .html-container, .hint > .html-container { padding: 0; }
#judge > .html-container { container-type: inline-size; }
#judge-score > .html-container { padding-bottom: 8px; }
#pages > .tab-wrapper { height: 46px; padding: 0; justify-content: flex-end; }
#pages > .tab-wrapper .tab-container { height: 46px; justify-content: flex-end; }
#pages > .tab-wrapper .tab-container button { color: var(--body-text-color-subdued); }
#pages > .tab-wrapper .tab-container button.selected { color: var(--body-text-color); font-weight: 600; }
#pages .tabitem { padding: 8px 0 0; border: 0; background: none; }

.beside { flex-wrap: nowrap; align-items: flex-start; gap: 14px; }
.controls { min-width: var(--controls) !important; max-width: var(--controls); gap: 8px; }
/* Gradio may put what is beside the controls on the page a frame before them: it does not jump then. */
.beside > .block:first-child { margin-left: calc(var(--controls) + 14px); }
.controls .row { gap: 8px; }
.controls .block.padded { padding: 5px 10px 7px; }
.controls .block .wrap-inner { padding: 0 4px; }
.controls input[role=combobox] { padding: 4px 0; text-overflow: ellipsis; }
.controls .secondary-wrap .icon-wrap { position: static; transform: none; flex: none; }
.status { min-height: 4.2em; font-size: calc(13 * var(--px)); line-height: 1.4; padding: 2px; overflow-wrap: anywhere; }
#pairs-opened { min-height: 1.4em; }
.status [data-testid=status-tracker] { display: none; }
.hint { font-size: calc(11.2 * var(--px)); color: var(--body-text-color-subdued); padding: 0 2px; margin-top: -4px; }

.upload .upload-container .wrap { flex-direction: row; gap: 4px; font-size: calc(13 * var(--px)); line-height: 1.3; padding: 18px 0 0; min-height: 0; }
.upload .upload-container .icon-wrap { display: none; }
.upload .file-preview-holder { max-height: 74px !important; }
.upload .file-preview td { padding-block: 2px; }
.upload .file-preview td.download { width: auto; min-width: 0; }

#samples .grid-wrap { min-height: 0; padding: 0; overflow: visible; }
#samples .grid-container { grid-template-columns: repeat(5, minmax(0, 1fr)) !important; gap: 6px; padding: 2px; grid-auto-rows: auto; }
#samples .caption-label { display: none; }
#samples .thumbnail-item { aspect-ratio: 1; width: 100%; height: auto; }
#samples.block { border: 0; background: none; overflow: visible; }
#recorded.block { border: 0; background: none; }
#recorded .grid-wrap { max-height: none; padding: 0; }
#recorded .grid-container { grid-template-columns: repeat(auto-fill, minmax(min(clamp(150px, 12.5vw, 280px), 44%), 1fr)); }
#recorded .thumbnail-item { display: flex; flex-direction: column; aspect-ratio: auto; height: 100%; }
#recorded .thumbnail-item:hover .caption-label { opacity: 1; }
#recorded .thumbnail-item img { aspect-ratio: 1; height: auto; }
#recorded .caption-label { position: static; max-width: none; white-space: normal; text-align: left; border: 0;
  background: none; padding: 8px 10px; }

.prose-page { max-width: calc(860 * var(--px)); margin: 8px auto 40px; font-size: calc(15 * var(--px)); line-height: 1.6; }
.prose-page table { display: block; border-collapse: collapse; margin: 12px 0 8px; overflow-x: auto; font-variant-numeric: tabular-nums; }
.prose-page :is(table, thead, tbody, tr, th, td) { border: 0 !important; }
.prose-page :is(th, td) { padding: 5px 9px !important; text-align: right; white-space: nowrap; font-size: calc(13 * var(--px)); }
.prose-page :is(th, td):first-child { padding-left: 0 !important; text-align: left; }
.prose-page tr { border-bottom: 1px solid var(--border-color-primary) !important; }
.prose-page .katex-display { overflow: auto hidden; padding: 2px 0; }

@media (min-width: 1001px) and (max-width: 1500px) { #pages > .tab-wrapper .tab-container button { padding: 0 10px; } }
body.projecting { overflow: hidden; }
body.projecting :is(#masthead header, #pages > .tab-wrapper, .controls) { visibility: hidden; }

@media (max-width: 1000px) {
  #masthead { position: static; height: auto; }
  #masthead header { flex-wrap: wrap; line-height: 1.5; padding-top: 8px; gap: 0 12px; white-space: normal; }
  .gradio-container > main, .gradio-container .main { padding: 0 8px 12px !important; }
}

@media (max-width: 760px) {
  #pages > .tab-wrapper .tab-container { justify-content: flex-start; }
  #pages > .tab-wrapper .tab-container button { padding: 0 8px; }
  .beside { flex-direction: column; align-items: stretch; }
  .beside > * { flex: none; width: 100%; }
  .beside > .block:first-child { margin-left: 0; }
  .controls { max-width: none; }
  #samples .grid-container { grid-template-columns: repeat(8, minmax(0, 1fr)) !important; }
  #judge { order: -1; }
}
"""

for _name in (
    "address.css",
    "language.css",
    "robustness.css",
    "comparison.css",
    "classifier.css",
    "phone.css",
    "print.css",
):
    CSS += (paths.VIEWER / _name).read_text("utf-8")
