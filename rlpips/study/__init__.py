"""What each choice in the training changes, one at a time: `python -m rlpips.study`."""
