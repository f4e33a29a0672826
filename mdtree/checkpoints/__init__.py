"""Checkpoints: from a path to the weights of a model. No code in a file is ever run."""

from mdtree.checkpoints.adapters import is_adapter, read_adapter_config
from mdtree.checkpoints.discovery import INNER, Folder, checkpoint_files, find_folders, named_files
from mdtree.checkpoints.kinship import equal_files, equal_tensors, equal_weights, kinship
from mdtree.checkpoints.lazy import (
    LazyTensor,
    TensorListing,
    in_memory_tensors,
    load_weights,
    stored_tensors,
)
from mdtree.checkpoints.listing import base_of, list_base, list_tensors, trained_labels
from mdtree.checkpoints.loading import Checkpoint, counters_of, load_checkpoint
from mdtree.checkpoints.moments import latest, moments, plainest
from mdtree.checkpoints.names import in_natural_order
from mdtree.checkpoints.parts import check_within, file_digest, parts_of
from mdtree.checkpoints.remote import (
    check_place,
    fetched,
    find_stored_folders,
    local_copy,
    remove_temporary_folders,
)
from mdtree.checkpoints.snapshots import snapshots, undecided
from mdtree.checkpoints.state_dict import find_weights
from mdtree.checkpoints.trajectory import LAST, Best, Selected, StepChoice, saved_at, select

__all__ = [
    "INNER",
    "LAST",
    "Best",
    "Checkpoint",
    "Folder",
    "LazyTensor",
    "Selected",
    "StepChoice",
    "TensorListing",
    "base_of",
    "check_place",
    "check_within",
    "checkpoint_files",
    "counters_of",
    "equal_files",
    "equal_tensors",
    "equal_weights",
    "fetched",
    "file_digest",
    "find_folders",
    "find_stored_folders",
    "find_weights",
    "in_memory_tensors",
    "in_natural_order",
    "is_adapter",
    "kinship",
    "latest",
    "list_base",
    "list_tensors",
    "load_checkpoint",
    "load_weights",
    "local_copy",
    "moments",
    "named_files",
    "parts_of",
    "plainest",
    "read_adapter_config",
    "remove_temporary_folders",
    "saved_at",
    "select",
    "snapshots",
    "stored_tensors",
    "trained_labels",
    "undecided",
]
