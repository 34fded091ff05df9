"""What makes a step of an attack fast, and everything that is read off a batch of pictures at once."""
