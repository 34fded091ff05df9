"""Classifiers to attack, and the pictures of CIFAR-10; `python -m rlpips.classifiers NAME` trains a classifier."""
