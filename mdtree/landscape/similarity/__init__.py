"""Similarity: how similar the outputs of two networks are on the same items."""
