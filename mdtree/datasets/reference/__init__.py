"""Data of the reference collection (configs/reference): generated from a seed, or from packages.

Each function returns (train, test), which depend only on the seed; `docs/reference_zoos.md` lists
them.
"""
