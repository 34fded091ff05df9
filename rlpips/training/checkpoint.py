"""Where a training stands, in one safetensors file, so that one that was interrupted goes on as if it had not been."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn


@dataclass
class Course:
    """All that changes in the course of a training.

    modules    {name: module}; their state dicts are kept
    optimiser  over parameters of these modules
    tensors    {name: tensor}: whatever else is tensors
    numbers    {name: number}: whatever else is numbers
    clock      which seconds count, such as `time.process_time` for CPU time
    """

    modules: dict[str, nn.Module]
    optimiser: torch.optim.Optimizer
    tensors: dict[str, Tensor] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    step: int = 0  # steps, or rounds, done
    seconds: float = 0.0  # spent before `since`
    since: float = field(init=False)

    def __post_init__(self):
        self.since = self.clock()

    @property
    def spent(self) -> float:
        """Seconds since the training began, without those in which it was interrupted."""
        return self.seconds + self.clock() - self.since

    def save(self, path: Path, about: Any) -> None:
        """Write all of it; `about`, anything that JSON can hold, says what is being trained on what."""
        tensors = {f"tensor.{name}": value for name, value in self.tensors.items()}
        for name, module in self.modules.items():
            tensors |= {f"module.{name}.{key}": value for key, value in module.state_dict().items()}
        for index, values in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{key}": value for key, value in values.items()}
        said = {"about": about, "numbers": self.numbers, "step": self.step, "seconds": self.spent}
        part = path.with_name(path.name + ".part")
        # Clones: two names of one tensor are refused.
        tensors = {name: value.detach().clone().contiguous() for name, value in tensors.items()}
        safetensors.torch.save_file(tensors, part, {"course": json.dumps(said)})
        os.replace(part, path)  # an interruption while writing leaves the older file

    def resume(self, path: Path, about: Any) -> bool:
        """Go on from the file, if it is there and of just this training; whether it was. ValueError for a damaged one."""
        if not path.is_file():
            return False
        try:
            with safetensors.safe_open(path, "pt") as file:
                said = json.loads(file.metadata()["course"])
                if said["about"] != json.loads(json.dumps(about)):
                    return False
                tensors = {name: file.get_tensor(name) for name in file.keys()}
            for name, module in self.modules.items():
                module.load_state_dict({key: tensors[f"module.{name}.{key}"] for key in module.state_dict()})
            missing = [name for name in self.tensors if f"tensor.{name}" not in tensors]
            if missing:
                raise ValueError(f"it lacks {', '.join(missing)}")
            self.numbers, self.step, self.seconds = said["numbers"], said["step"], said["seconds"]
        except (safetensors.SafetensorError, RuntimeError, TypeError, KeyError, ValueError) as error:
            raise ValueError(f"{path} is no state of this training ({error}); delete it to begin anew.") from error
        self.tensors = {name[7:]: value for name, value in tensors.items() if name.startswith("tensor.")}
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimiser."):
                _, index, key = name.split(".", 2)
                state.setdefault(int(index), {})[key] = value
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": state})
        return True
