"""Measures the metrics, and attacks bounded by them: `python -m rlpips.evaluate`."""
