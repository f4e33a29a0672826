"""The version of mdtree."""

__all__ = ["__version__"]

__version__ = "0.2.0"
