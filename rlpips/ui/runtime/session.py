"""The one life of a run, whatever the page: load, wait in the queue, compute, show, complete, stop, refuse, fail, tidy up.

A page says in a `Run` what to compute and how to show it. `updates` runs it, `guarded` turns errors into sentences,
`stopped` makes a result of what Stop has cut off, `rest` completes a result, and `connect` gives all of this to a Run and a Stop
button.
"""

import errno
import html
import json
import logging
import secrets
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from rlpips.ui.components.events import PRIVATE
from rlpips.ui.runtime import cache, device
from rlpips.ui.runtime.loading import Loading
from rlpips.ui.runtime.queue import QUEUE, Client

log = logging.getLogger(__name__)

WAITING = "Running: waiting for a turn…"
NOTHING_YET = "Stopped: before the first step."
FAILED = "Refused: something failed on the server, and its log says what. Try again; if it fails again, tell whoever runs it."
NO_MEMORY = "Refused: the server has too little memory for this. A smaller picture or fewer steps may help."
DISK_FULL = "Refused: the server's disk is full. Your pictures are not the reason; try again later."
ENDED = "ended"  # the state of a page whose run is over: Stop has nothing to cut off

# What Run and Stop look like. A button that is disabled loses the focus: Run has it again when it can be pressed again.
# The buttons are set by the browser, so that they change at once, and also where the server has gone (assets/viewer/away.js).
_BEGIN_JS = """() => {
  const [run, stop] = %s.map((id) => document.getElementById(id));
  Object.assign(stop.dataset, { runs: Number(stop.dataset.runs ?? 0) + 1, run: run.id });
  stop.dataset.focus = run === document.activeElement ? run.id : "";
  [run.disabled, stop.disabled] = [true, false];
  return '%s';
}"""
_END_JS = """() => {
  const [run, stop] = %s.map((id) => document.getElementById(id));
  stop.dataset.runs = Math.max(0, Number(stop.dataset.runs ?? 0) - 1);
  [run.disabled, stop.disabled] = [false, stop.dataset.runs === "0"];
  if (stop.dataset.focus === run.id)
    setTimeout(() => document.activeElement === document.body && run.focus({ preventScroll: true }), 100);
}"""

FINISHED = cache.FinishedRuns(64 * 1024**2)  # bytes, for fifteen duels and more


@dataclass(frozen=True)
class Update:
    """One message of a run to its page."""

    text: str  # of the status line, as plain text; begins with Loading, Running, Done, Stopped or Refused
    content: Any = None  # what the page shows with it; None leaves the page as it is
    # What `stopped` and `rest` need if the event ends now: the run, its rest, ENDED, or None before it computes.
    state: "Run | Rest | str | None" = None
    progress: tuple[int, int] | None = None  # (done, total) of a progress bar
    partial: bool = False  # whether this is a result that `Run.rest` adds to

    @property
    def refused(self) -> bool:
        """Whether this ends a run that the server did not do."""
        return self.text.startswith("Refused")

    def as_html(self) -> str:
        """The text as HTML, with the progress bar."""
        if self.progress is None:
            return html.escape(self.text)
        done, total = self.progress
        bar = f'<progress max="{total}" value="{done}" aria-label="Measured so far"></progress>'
        return html.escape(self.text) + bar


class Run(ABC):
    """What a page computes for one visitor, and how it shows it.

    key        the same key stands for the same result, which is then remembered; its content must be a viewer message. None: no memory
    no_result  the content in place of a result that cannot be made, because an error or Stop came first
    notes      sentences for the visitor, which follow the text of the result
    """

    key: str | None = None
    no_result: Any = None

    def __init__(self, notes: Iterable[str] = ()):
        self.notes = list(notes)

    @abstractmethod
    def steps(self) -> Generator[Update]:
        """Compute while the visitor has the device; yields what to show on the way.

        Past the deadline the next update ends it, and Stop ends it at any update: then the generator is closed.
        """

    @abstractmethod
    def result(self) -> Update:
        """The last update, of a run that is complete or was cut off at any update; or a partial one, which `rest` adds to."""

    def rest(self) -> Generator[Update]:
        """Complete a partial result: the last update has the complete content. Closed if the visitor does not wait for it."""
        yield from ()


@dataclass(frozen=True)
class Rest:
    """The state of a page whose run is over and has a result, which `rest` completes."""

    run: Run
    text: str  # of the result
    remember: bool  # whether it is the whole answer to the request


# By key, what is being completed; whoever asks for the same meanwhile gets it complete.
_PARTIAL: weakref.WeakValueDictionary[str, Rest] = weakref.WeakValueDictionary()


def updates(client: Client, loading: Loading, prepare: Callable[[], Run]) -> Generator[Update]:
    """Everything from loading to the result. `prepare` checks the request, after loading: ValueError if it cannot be done.

    The result of a run whose key is known comes at once. To close the generator leaves the queue and frees the device.
    """
    for text in loading.texts():
        yield Update(text)
    run = prepare()
    result = _remembered(run)
    if result is None:
        with QUEUE.join(client) as place:
            for text in place.turn():
                if result := _remembered(run):  # a visitor further ahead made the same request
                    break
                yield Update(text)
            result = result or _remembered(run) or (yield from _compute(run))
    yield result  # the next visitor has the device already


def _remembered(run: Run) -> Update | None:
    if run.key is None:
        return None
    finished = FINISHED.get(run.key)
    if finished is None and (partial := _PARTIAL.get(run.key)):
        for _ in rest(partial):
            pass
        finished = FINISHED.get(run.key)
    if finished is None:
        return None
    message, text = finished
    message["run"] = secrets.token_hex(4)  # Gradio passes over a value that equals the one before
    return _last(Update(f"{text} This was computed before, for the same request.", message), run)


def _compute(run: Run) -> Generator[Update, None, Update]:
    """The run itself, while it has the device; returns the last update."""
    seconds, complete = device.stopwatch(), True
    with closing(run.steps()) as steps:
        for update in steps:
            if seconds() > device.DEADLINE_S:
                run.notes.append(f"It was ended after {device.DEADLINE_S:.0f} s, so that others get their turn.")
                complete = False
                break
            yield replace(update, state=run)
    result = run.result()
    if complete and not result.partial:
        _remember(run, result)
    return _last(result, run, complete)


def _remember(run: Run, result: Update) -> None:
    if run.key:
        FINISHED.put(run.key, result.content, result.text)


def _last(result: Update, run: Run, complete: bool = False) -> Update:
    """A result with the notes; `complete`: whether nothing cut the run off."""
    state = Rest(run, result.text, complete) if result.partial else ENDED
    if complete and run.key and isinstance(state, Rest):
        _PARTIAL[run.key] = state
    return replace(result, text=" ".join([result.text.strip(), *run.notes]), state=state)


def rest(state: Run | Rest | str | None) -> Generator[Update]:
    """What completes the result of a run, after it is shown; nothing if it is complete. The last update has the content.

    This waits for no turn. It takes place between two steps of whoever has the device by then, piece by piece, so that the page
    can start another run at once: all in all the device has no more to do, and the result was there earlier.
    """
    if not isinstance(state, Rest):
        return
    try:
        with closing(state.run.rest()) as updates:
            for update in updates:
                if update.content is not None and state.remember:
                    _remember(state.run, replace(update, text=state.text))
                yield update
    except Exception as error:
        log.error("A result was not completed; what is shown is right.", exc_info=error)


def completed(updates: Generator[Update]) -> Generator[Update]:
    """The updates of a run, and last its complete result."""
    last = None
    with closing(updates):
        for last in updates:
            yield last
    for update in rest(last.state if last else None):
        if last and update.content is not None:
            yield replace(last, content=update.content, state=ENDED, partial=False)


def guarded(updates: Generator[Update]) -> Generator[Update]:
    """The same updates, for a page: an error becomes a refusal with a sentence."""
    state = None
    try:
        with closing(updates):
            for update in updates:
                state = update.state
                yield update
    except ValueError as error:
        gr.Warning(html.escape(str(error)))
        yield Update(f"Refused: {error}", _no_result(state), ENDED)
    except Exception as error:
        yield Update(fault(error), _no_result(state), ENDED)


def fault(error: Exception) -> str:
    """The sentence for the visitor on an error that is not a refusal; the host finds it in the log."""
    log.error("The server failed.", exc_info=error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DISK_FULL
    # torch has a class for a full GPU only, and torch may not be loaded.
    full = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
    return NO_MEMORY if full or isinstance(error, MemoryError) else FAILED


def stopped(state: Run | Rest | str | None) -> Update | None:
    """The last update of a run that Stop has cut off; None if the run is over.

    If others have the device by then, this takes place between two of their steps, and delays them no more than the run itself.
    """
    if state == ENDED or isinstance(state, Rest):
        return None
    if not isinstance(state, Run):
        return Update(NOTHING_YET, state=ENDED)
    try:
        return _last(state.result(), state)
    except Exception as error:
        return Update(fault(error), _no_result(state), ENDED)


def _no_result(state: Run | Rest | str | None) -> Any:
    return state.no_result if isinstance(state, Run) else None


def connect(
    run: gr.Button,
    stop: gr.Button,
    updates: Callable[..., Generator[Update]],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    js: str | None = None,
) -> None:
    """Let the button `run` start `updates(client, *values of inputs)`, and the button `stop` end them.

    While they run, `stop` can be pressed and `run` cannot; else it is the other way round. Several runs may have one `stop`.

    outputs  the components for the content (of several, content is a tuple), the status line, and a `gr.State` for the state
    js       changes the values of the inputs in the browser
    """
    *components, status, _ = outputs
    computing: dict[str, Run] = {}  # which run each tab has under way

    def start(request: gr.Request, *values: Any) -> Iterator[tuple]:
        client = Client.of(request)
        try:
            with closing(guarded(updates(client, *values))) as messages:
                for update in messages:
                    if isinstance(update.state, Run):
                        computing[client.session] = update.state
                    yield output_values(update, len(components))
        finally:
            computing.pop(client.session, None)

    def finish(request: gr.Request, state: Run | Rest | str | None) -> Iterator[tuple]:
        update = stopped(state)
        *values, _ = output_values(update, len(components))
        yield *values, None  # so that Stop cuts off nothing of this run when the next one has just begun
        ended = update.state if update else state
        with closing(rest(ended)) as more:
            for update in more:
                if isinstance(ended, Rest) and computing.get(Client.of(request).session, ended.run) is not ended.run:
                    return  # the next run comes first
                *values, _, _ = output_values(update, len(components))
                yield *values, gr.skip(), gr.skip()  # which may be those of the next run already

    stop.interactive = False
    buttons = json.dumps([run.elem_id, stop.elem_id])
    run.click(None, None, status, js=_BEGIN_JS % (buttons, WAITING), **PRIVATE)
    event = run.click(start, inputs, outputs, js=js, **PRIVATE)
    event.then(None, None, None, js=_END_JS % buttons, **PRIVATE)
    event.then(finish, outputs[-1], outputs, trigger_mode="multiple", **PRIVATE)  # the next run may end before this has
    stop.click(None, cancels=[event], api_visibility="private")


def output_values(update: Update | None, count: int) -> tuple:
    """The values of an update for `count` components, a status line and a state; None changes nothing."""
    if update is None:
        return (gr.skip(),) * (count + 2)
    content = update.content if count > 1 else (update.content,)
    values = [gr.skip()] * count if update.content is None else content
    return *values, update.as_html(), update.state
