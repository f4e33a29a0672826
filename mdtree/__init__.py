"""mdtree says why a trained network underperforms, with its evidence and the next step."""

__all__ = ["__version__"]

__version__ = "0.1.0"
