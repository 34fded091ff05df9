"""`python -m rlpips.classifiers NAME` trains a classifier. Its code is in a room above this one, which therefore imports nothing
of it and only runs it by name."""

import runpy

runpy.run_module("rlpips.training.classifier_command", run_name="__main__")
