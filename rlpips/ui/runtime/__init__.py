"""How work runs for the page: the device, the queue before it, the life of a run, finished duels, and files."""
