"""Classifiers to be fooled, and the pictures of CIFAR-10; `python -m rlpips.classifiers NAME` trains one."""
