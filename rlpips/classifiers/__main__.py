"""`python -m rlpips.classifiers NAME`: the training is in a room above this one, which imports nothing from there."""

import runpy

runpy.run_module("rlpips.training.classifiers", run_name="__main__")
