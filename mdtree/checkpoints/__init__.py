"""Checkpoints: from a path to the weights of a model. Nothing in a file is ever run."""

from mdtree.checkpoints.discovery import Folder, checkpoint_files, find_folders, named_files
from mdtree.checkpoints.duplicates import equal_files, equal_tensors, equal_weights
from mdtree.checkpoints.lazy import Listing, Stored, list_stored, listed
from mdtree.checkpoints.links import check_within
from mdtree.checkpoints.loading import Checkpoint, load_checkpoint, load_weights
from mdtree.checkpoints.reading import file_digest, parts_of
from mdtree.checkpoints.remote import fetched, find_stored_folders, remove_left
from mdtree.checkpoints.snapshots import latest, plainest, snapshots
from mdtree.checkpoints.state_dict import find_weights

__all__ = [
    "Checkpoint",
    "Folder",
    "Listing",
    "Stored",
    "check_within",
    "checkpoint_files",
    "equal_files",
    "equal_tensors",
    "equal_weights",
    "fetched",
    "file_digest",
    "find_folders",
    "find_stored_folders",
    "find_weights",
    "latest",
    "list_stored",
    "listed",
    "load_checkpoint",
    "load_weights",
    "named_files",
    "parts_of",
    "plainest",
    "remove_left",
    "snapshots",
]
