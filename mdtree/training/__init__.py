"""Training: the loop that zoos and forks share."""
