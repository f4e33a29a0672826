"""Similarity: how alike two networks see the same items."""
