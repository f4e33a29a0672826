"""Curves between two networks: Bezier curves, their training, the loss along them."""
