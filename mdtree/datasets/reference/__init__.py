"""Data of the reference collection (configs/reference): made by seeded code, or read from packages.

Each function returns (train, test).  One seed, one data set; `docs/reference_zoos.md` lists them.
"""
