"""The catalogue of metrics, networks, classifiers and attacks; their weights and their cards."""
