"""Callbacks: networks are diagnosed while they are trained, one file for each framework."""
