"""What matters in the training, one change at a time: `python -m rlpips.study`."""
