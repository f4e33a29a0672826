"""Rendering: the text, pages and pictures that people read."""
