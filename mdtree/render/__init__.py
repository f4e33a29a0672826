"""Rendering: everything that a person reads, on the terminal and on the page."""
