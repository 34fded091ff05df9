"""Honest measurement of the metrics, and of attacks bounded by them: `python -m rlpips.evaluate`."""
