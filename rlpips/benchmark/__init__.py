"""How fast the engine is: `python -m rlpips.benchmark` prints tables."""
