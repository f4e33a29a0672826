"""Surfaces: the loss on a plane in weight space."""
