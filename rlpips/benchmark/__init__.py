"""How fast the engine is, against what others write and against what the machine can do: `python -m
rlpips.benchmark`."""
