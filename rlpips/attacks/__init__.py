"""The attacks: on metrics, on triplets, without gradients, and on classifiers within a perceptual ball."""
