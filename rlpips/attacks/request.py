"""What an attack is asked to do, as one frozen value. No torch in here: the page makes requests before torch is loaded."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from rlpips import validation
from rlpips.attacks.schedule import SCHEDULES
from rlpips.zoo.attack_cards import ATTACKS
from rlpips.zoo.catalog import PAIR, check_metrics

NORMS = ("linf", "l2", "flow")  # as in `rlpips.attacks.threats`, which needs torch
OBJECTIVES = {"away": 1, "toward": -1}  # the sign with which a lane's distance is raised
MAX_STEPS = 10_000
MAX_FOOL_STEPS = (
    200  # a trace of an attack on a classifier must stay small enough to be saved, also with a thousand classes
)
MAX_RESTARTS = 100
MAX_FLOW = (
    2.0  # pixels, half a node's distance to the next (`rlpips.attacks.flow`), which could change places from there on
)
MAX_SEED = 2**53  # what JSON and a browser keep exactly


@dataclass(frozen=True, eq=False)
class AttackRequest:
    """The arguments of `rlpips.attack`.

    reference  (N, 3, H, W) float in [0, 1], or an array, a PIL image or a path; 32 to 1024 pixels a side
    candidate  the picture to push, same shape; None pushes the reference itself ("away" only)
    metrics    names of the catalogue, or metrics of your own: any differentiable function of pictures (N, 3, H, W) × 2 in [0, 1] -> (N,),
               or a `rlpips.metrics.base.Metric`; one lane is pushed against each
    backbone   "alex", "vgg" or "squeeze"
    norm, eps  "linf" or "l2" ball in [0, 1] pixel units; the l2 norm runs over all 3·H·W values. "flow" moves pixels instead of
               changing them: eps is the largest displacement, in pixels, at most 2 (`rlpips.attacks.flow`, where 0.5 is usual)
    steps      1 to 10,000
    step_size  of all steps, in the unit of eps; None for the sizes of the schedule
    objective  "away": make each metric say "different"; "toward": make a different candidate look identical to it
    seed       a whole number; picture n of a batch gets seed + n, so a batch gives what its pictures would give alone
    device     "cpu", "cuda", or None for the GPU where there is one
    restarts   1 to 100; each lane keeps the restart with its best final distance. They start at random: the first, third, … from coarse
               noise (`rlpips.norms.coarse_random`), the others, and flows, from noise of single values
    schedule   "cosine": steps from 2 eps to 0, which find more in ten steps than fixed ones in forty; "fixed": steps of 2.5 eps / steps;
               "apgd": sizes that follow what is found (`rlpips.attacks.pgd.apgd`). A step_size means "fixed"
    precision  of the convolutions: "float32", or "bfloat16" on differences from the reference, which changes distances by
               less than 1 % (`rlpips.engine.bfloat16`); None for bfloat16 where the device has it in hardware

    ValueError for anything out of range. What depends on the size of the pictures is checked when the attack begins.
    """

    reference: Any
    candidate: Any = None
    metrics: Any = PAIR
    backbone: str = "alex"
    norm: str = "linf"
    eps: float = 4 / 255
    steps: int = 40
    step_size: float | None = None
    objective: str = "away"
    seed: int = 0
    device: Any = None
    restarts: int = 1
    precision: str | None = None
    schedule: str = "cosine"

    def __post_init__(self) -> None:
        check_metrics(self.metrics, self.backbone)
        validation.check_choice("norm", self.norm, NORMS)
        validation.check_choice("objective", self.objective, OBJECTIVES)
        validation.check_choice("schedule", self.schedule, SCHEDULES)
        validation.check_whole("steps", self.steps, 1, MAX_STEPS)
        validation.check_whole("restarts", self.restarts, 1, MAX_RESTARTS)
        validation.check_whole("seed", self.seed, 0, MAX_SEED)
        if self.objective == "toward" and self.candidate is None:
            raise ValueError(
                'objective="toward" needs a candidate: the different picture to be made to look identical.'
            )

    def check_size(self, values: int) -> None:
        """ValueError for an eps or a step size that is too large for pictures of so many values (3·H·W)."""
        unit = "in pixels" if self.norm == "flow" else "in [0, 1] pixel units"
        # That of a ball of pixels holds the whole range of images.
        widest = {"linf": 1.0, "l2": values**0.5, "flow": MAX_FLOW}[self.norm]
        validation.check_real("eps", self.eps, widest, unit)
        if self.step_size is not None:
            validation.check_real("step_size", self.step_size, 2 * widest, unit)


@dataclass(frozen=True, eq=False)
class FoolRequest:
    """The arguments of `rlpips.attacks.side_by_side.fool`.

    picture     one picture: a path, a PIL image, an array, or a tensor (3, H, W) or (1, 3, H, W) in [0, 1]; at least 32
                pixels a side. Its middle square is scaled to the classifier's size and rounded to 8 bits.
    label       index of its class; None takes the classifier's own verdict on the picture
    classifier  a name of `rlpips.zoo.classifier_cards.CLASSIFIERS`, or a `Classifier` in eval mode, which is moved to `device`
    attacks     two different names of `rlpips.zoo.attack_cards.ATTACKS`
    bounds      a bound for each attack, in its unit; None for those of the cards
    steps       of each attack, 1 to 200; LPA makes five searches of so many steps each
    seed        of both attacks: the same seed gives the same trace
    device      "cpu", "cuda", or None for the GPU where there is one

    ValueError for anything out of range. What depends on the picture and the classifier is checked when the attacks begin.
    """

    picture: Any
    label: int | None = None
    classifier: Any = "undefended"
    attacks: tuple[str, str] = ("ppgd", "r-ppgd")
    bounds: tuple[float, float] | None = None
    steps: int = 10
    seed: int = 0
    device: Any = None

    def __post_init__(self) -> None:
        if not is_pair(self.attacks) or self.attacks[0] == self.attacks[1]:
            raise ValueError(f"attacks must be two different names of {', '.join(ATTACKS)}; got {self.attacks!r}.")
        for name in self.attacks:
            validation.check_choice("each attack", name, ATTACKS)
        validation.check_whole("steps", self.steps, 1, MAX_FOOL_STEPS)
        validation.check_whole("seed", self.seed, 0, MAX_SEED)
        if self.bounds is not None and not is_pair(self.bounds):
            raise ValueError(f"bounds must be None, or a bound for each of the two attacks; got {self.bounds!r}.")


def is_pair(value: object) -> bool:
    """Whether a value is a tuple or list of two."""
    return isinstance(value, tuple | list) and len(value) == 2


P = ParamSpec("P")
Request = TypeVar("Request")
Result = TypeVar("Result")


def from_fields(request_type: Callable[P, Request]) -> Callable[[Callable[[Request], Result]], Callable[P, Result]]:
    """Decorator: a function of a request takes the request's fields as its arguments, so that they are written down once."""

    def decorate(function: Callable[[Request], Result]) -> Callable[P, Result]:
        @wraps(function)
        def call(*arguments: P.args, **settings: P.kwargs) -> Result:
            return function(request_type(*arguments, **settings))

        # What help() and editors show.
        call.__signature__ = inspect.signature(request_type).replace(  # type: ignore[attr-defined]
            return_annotation=inspect.signature(function).return_annotation
        )
        return call

    return decorate
