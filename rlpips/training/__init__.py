"""Adversarial training of R-LPIPS heads, `python -m rlpips.training`, and of the small classifiers."""
