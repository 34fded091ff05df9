"""What there is to choose from: the catalogue of metrics, networks, classifiers and attacks, their weights and their cards."""
