"""Where a training stands, in one safetensors file, so that one that was interrupted goes on as if it had not been."""

import json
import math
import os
import time
from dataclasses import dataclass, field

import safetensors
import safetensors.torch
import torch


@dataclass
class Course:
    """All that changes in the course of a training.

    `theta` (C_0 + … + C_L-1,) is log w. `memory` has four tensors for each round remembered: the evidence of both
    candidates of its attacked triplets, (A, C) each, their judge (A,), and that of pictures moved invisibly (B, C).
    `best` is the rank of the best stage so far and `heads` its weights.
    """

    theta: torch.Tensor
    ranking: torch.nn.Module
    optimiser: torch.optim.Optimizer
    generator: torch.Generator
    heads: torch.Tensor
    best: float = -math.inf
    turn: int = 0  # rounds done
    memory: list = field(default_factory=list)
    seconds: float = 0.0  # spent before `since`
    since: float = field(default_factory=time.monotonic)

    @property
    def spent(self):
        """Seconds since the training began, without those in which it was interrupted."""
        return self.seconds + time.monotonic() - self.since

    def save(self, path, about):
        """Write all of it; `about`, anything that JSON can hold, says what is being trained on what."""
        tensors = {"theta": self.theta.detach(), "heads": self.heads, "generator": self.generator.get_state()}
        for name, value in self.ranking.state_dict().items():
            tensors[f"ranking.{name}"] = value
        for index, values in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": value for name, value in values.items()}
        for index, parts in enumerate(self.memory):
            tensors |= {f"memory.{index}.{part}": value for part, value in enumerate(parts)}
        said = {"about": about, "best": self.best, "turn": self.turn, "seconds": self.spent}
        part = path.with_name(path.name + ".part")
        safetensors.torch.save_file({k: v.contiguous() for k, v in tensors.items()}, part, {"course": json.dumps(said)})
        os.replace(part, path)  # an interruption while writing leaves the older file

    def resume(self, path, about):
        """Continue from the file, if there is one of just this training; whether there was."""
        if not path.is_file():
            return False
        try:
            with safetensors.safe_open(path, "pt") as file:
                said = json.loads(file.metadata()["course"])
                if said["about"] != json.loads(json.dumps(about)):
                    return False
                tensors = {name: file.get_tensor(name) for name in file.keys()}
        except (safetensors.SafetensorError, TypeError, KeyError, ValueError) as error:
            raise ValueError(f"{path} is no state of a training ({error}); delete it to begin anew.") from error
        wanted = {"theta", "heads", "generator", *(f"ranking.{name}" for name in self.ranking.state_dict())}
        if missing := sorted(wanted - tensors.keys()):
            raise ValueError(f"{path} lacks {', '.join(missing)}; delete it to begin anew.")
        self.best, self.turn, self.seconds = said["best"], said["turn"], said["seconds"]
        device = self.theta.device
        with torch.no_grad():
            self.theta.copy_(tensors["theta"])
        self.heads = tensors["heads"].to(device)
        self.generator.set_state(tensors["generator"])
        self.ranking.load_state_dict({name: tensors[f"ranking.{name}"] for name in self.ranking.state_dict()})
        held = {}
        for key in tensors:
            if key.startswith("optimiser."):
                _, index, name = key.split(".")
                held.setdefault(int(index), {})[name] = tensors[key]
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": held})
        rounds = sum(name.startswith("memory.") for name in tensors) // 4
        self.memory = [tuple(tensors[f"memory.{n}.{part}"].to(device) for part in range(4)) for n in range(rounds)]
        return True
