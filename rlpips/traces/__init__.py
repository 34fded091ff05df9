"""What an attack leaves behind: the trace, how it is recorded, written and read, and drawn as a still figure."""
