"""The state of a training in one safetensors file, so that an interrupted training continues to the same result."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from rlpips import saving


@dataclass
class TrainingState:
    """All that changes in the course of a training.

    modules    {name: module}; their state dicts are saved
    optimiser  over parameters of these modules; its learning rate is not saved
    tensors    {name: tensor}; everything else, such as the state of a random generator
    clock      gives seconds, such as `time.process_time` for CPU time
    step       how many steps, or rounds, are done
    """

    modules: dict[str, nn.Module]
    optimiser: torch.optim.Optimizer
    tensors: dict[str, Tensor] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    step: int = 0

    def __post_init__(self) -> None:
        self._start = self.clock()

    @property
    def seconds(self) -> float:
        """Seconds that the training has taken so far, without the time between an interruption and `resume`."""
        return self.clock() - self._start

    def save(self, path: Path, about: Any) -> None:
        """Write the state. `about`, any value that JSON can hold, says what is trained and on which data."""
        tensors = {f"tensor.{name}": value for name, value in self.tensors.items()}
        for name, module in self.modules.items():
            tensors |= {f"module.{name}.{key}": value for key, value in module.state_dict().items()}
        for index, values in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{key}": value for key, value in values.items()}
        # Clones, because safetensors refuses two names of one tensor.
        tensors = {name: value.detach().clone().contiguous() for name, value in tensors.items()}
        course = {"about": about, "step": self.step, "seconds": self.seconds}
        saving.write(path, safetensors.torch.save(tensors, {"course": json.dumps(course)}))

    def resume(self, path: Path, about: Any) -> bool:
        """Take over the state in the file. False, and nothing is changed, if there is no file or if it is about another
        training; ValueError if it is damaged. Tensors go to the devices of those that they replace."""
        if not path.is_file():
            return False
        try:
            with safetensors.safe_open(path, "pt") as file:
                course = json.loads(file.metadata()["course"])
                if course["about"] != json.loads(json.dumps(about)):
                    return False
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            for name, module in self.modules.items():
                module.load_state_dict(_part(tensors, f"module.{name}."))
            self.tensors = {name: tensors[f"tensor.{name}"].to(value.device) for name, value in self.tensors.items()}
            groups = self.optimiser.state_dict()["param_groups"]
            states = {index: _part(tensors, f"optimiser.{index}.") for group in groups for index in group["params"]}
            self.optimiser.load_state_dict({"state": states, "param_groups": groups})
            self.step, self._start = course["step"], self.clock() - course["seconds"]
        except (safetensors.SafetensorError, RuntimeError, TypeError, KeyError, ValueError) as error:
            raise ValueError(f"{path} is not a state of this training ({error}); delete it to start again.") from error
        return True


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
