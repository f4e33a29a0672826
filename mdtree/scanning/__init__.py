"""Scanning: what a file would become in memory, checked before anything is unpacked."""

from mdtree.scanning.scan import IN_PARTS, damage, is_zip, pickle_fault, zip_fault

__all__ = ["IN_PARTS", "damage", "is_zip", "pickle_fault", "zip_fault"]
