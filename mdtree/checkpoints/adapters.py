"""Adapters: folders as PEFT saves them, and the model that they change.

    adapter_config.json           the method, its scale, and the name of the base model
    adapter_model.safetensors     what was trained (or .bin)

Only LoRA can be added to the base in one way alone.  Every setting that would change this is
refused, and so is a setting that is not known here.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mdtree.exceptions import UnreadableError
from mdtree.regular_file import TooLargeError, read_json

__all__ = [
    "ADAPTER_CONFIG",
    "ADAPTER_WEIGHTS",
    "MERGE_IT",
    "AdapterConfig",
    "is_adapter",
    "missing_base",
    "read_adapter_config",
    "short",
]

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
MERGE_IT = (
    "merge it yourself (merged = model.merge_and_unload(); merged.save_pretrained(FOLDER)) and "
    "name that folder"
)

_LARGEST = 1 << 24  # bytes of a config
_LARGEST_RANK = 1 << 20
_LARGEST_SCALE = 1e9
_MOST_PATTERNS = 4096
_LONGEST_PATTERN = 200
_LONGEST_NAME = 4096

# settings that say which layers there are, how they were trained, or where they are from
_HARMLESS = frozenset({
    "auto_mapping", "base_model_name_or_path", "bias", "corda_config", "ensure_weight_tying",
    "eva_config", "exclude_modules", "fan_in_fan_out", "inference_mode", "init_lora_weights",
    "layers_pattern", "layers_to_transform", "lora_alpha", "lora_dropout", "lora_ga_config",
    "loftq_config", "megatron_core", "modules_to_save", "peft_type", "peft_version",
    "qalora_group_size", "r", "rank_pattern", "alpha_pattern", "revision", "runtime_config",
    "target_modules", "task_type", "use_rslora",
})  # fmt: skip
# ways of starting that leave the base as it was
_STARTS = (None, True, False, "gaussian", "eva", "orthogonal")
# many quantifiers or groups, or a quantifier of a group, can take forever to fail
_QUANTIFIER = re.compile(r"[*+{?]")
_SLOW = re.compile(r"\)[*+{?]|[*+}?][*+{]|\(\?")
_MOST_QUANTIFIERS = 2
_MOST_GROUPS = 2
_MOST_STEPS = 200_000_000  # of matching all layers with all patterns


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """What `adapter_config.json` says about a LoRA adapter."""

    rank: int
    alpha: float
    rank_stabilised: bool = False  # alpha / sqrt(rank) instead of alpha / rank
    transposed: bool = False  # layers store (in, out), as Conv1D of GPT-2
    ranks: frozenset[int] = frozenset()  # all that the layers may have
    alphas: tuple[tuple[re.Pattern[str], float], ...] = ()  # of some layers
    replaced: frozenset[str] = frozenset()  # modules that were trained as a whole
    base: str | None = None
    task: str | None = None  # SEQ_CLS, CAUSAL_LM, ...
    architecture: str | None = None  # the class of the model, if there is no task

    def replaces(self, name: str) -> bool:
        """Return whether a tensor is of a module that was trained as a whole."""
        words = name.split(".")
        return any(
            ".".join(words[start : start + length]) in self.replaced
            for length in self._lengths
            for start in range(len(words) - length + 1)
        )

    @cached_property
    def _lengths(self) -> frozenset[int]:
        """How many words the names of these modules have."""
        return frozenset(module.count(".") + 1 for module in self.replaced)

    def check_effort(self, layers: Iterable[str], path: Path) -> None:
        """Refuse patterns that would take minutes to match."""
        lengths = [len(layer) for layer in layers]
        effort = 0
        for pattern, _ in self.alphas:
            power = len(_QUANTIFIER.findall(pattern.pattern)) - 1
            ways = (1 + pattern.pattern.count("|")) ** _MOST_GROUPS
            effort += ways * sum(length**power for length in lengths)
        if effort > _MOST_STEPS:
            raise UnreadableError(f"{path}: alpha_pattern has too many names: {MERGE_IT}")

    def scale(self, layer: str, rank: int) -> float:
        """Return the factor of B A in a layer."""
        alpha = next((a for pattern, a in self.alphas if pattern.match(layer)), self.alpha)
        return alpha / (math.sqrt(rank) if self.rank_stabilised else rank)


def is_adapter(path: Path) -> bool:
    """Return whether a weights file is an adapter, by its name and the config beside it."""
    config = path.with_name(ADAPTER_CONFIG)
    return path.name in ADAPTER_WEIGHTS and os.path.isfile(config)  # noqa: PTH113 - as in discovery


def read_adapter_config(path: Path) -> AdapterConfig:
    """Read and check the config beside the weights of an adapter.

    Raises:
        UnreadableError: It cannot be read, or describes something that cannot be merged.
    """
    file = path.with_name(ADAPTER_CONFIG)
    content = _content(file)
    kind = content.get("peft_type")
    if kind != "LORA":
        raise UnreadableError(f"{file} describes {short(kind)}, but only LORA is read: {MERGE_IT}")
    for key, value in content.items():
        if value and key not in _HARMLESS:
            raise UnreadableError(f"{file} sets {short(key)}, which is not read: {MERGE_IT}")
    start = content.get("init_lora_weights")
    if not any(start is known or start == known for known in _STARTS):
        raise UnreadableError(
            f"{file} sets init_lora_weights to {short(start)}, which changes the base: {MERGE_IT}"
        )
    rank = _rank(content.get("r", 8), "r", file)
    ranks = _mapping(content, "rank_pattern", file)
    alphas = _mapping(content, "alpha_pattern", file)
    mapping = _mapping(content, "auto_mapping", file)
    return AdapterConfig(
        rank=rank,
        alpha=_alpha(content.get("lora_alpha", 8), "lora_alpha", file),
        rank_stabilised=_flag(content, "use_rslora", file),
        transposed=_flag(content, "fan_in_fan_out", file),
        ranks=frozenset({rank, *(_rank(r, f"rank_pattern {short(k)}", file)
                                 for k, r in ranks.items())}),
        alphas=tuple(
            (_pattern(k, file), _alpha(a, f"alpha_pattern {short(k)}", file))
            for k, a in alphas.items()
        ),
        replaced=_names(content.get("modules_to_save"), file),
        base=_text(content.get("base_model_name_or_path")),
        task=_text(content.get("task_type")),
        architecture=_text(mapping.get("base_model_class")),
    )  # fmt: skip


def missing_base(path: Path) -> UnreadableError:
    """Return the error that an adapter alone is not a model."""
    return UnreadableError(
        f"{path} is an adapter: it changes another model, and is not one by itself. Name that "
        f"model, too: mdtree weights {path.parent} --against BASE"
    )


def _content(file: Path) -> dict[str, Any]:
    try:
        content = read_json(file, _LARGEST)
    except OSError as error:
        raise UnreadableError(f"{file} cannot be read: {error.strerror or error}") from error
    except TooLargeError as error:
        raise UnreadableError(f"{file} is too large: {error}") from error
    except ValueError as error:
        raise UnreadableError(f"{file} is not JSON: {error!s:.200}") from error
    if not isinstance(content, dict):
        raise UnreadableError(f"{file} must hold a JSON object, got a {type(content).__name__}")
    return content


def _mapping(content: Mapping[str, Any], key: str, file: Path) -> dict[str, Any]:
    value = content.get(key) or {}
    if not isinstance(value, dict) or len(value) > _MOST_PATTERNS:
        raise UnreadableError(f"{file}: {key} must be an object of at most {_MOST_PATTERNS} names")
    return value


def _flag(content: Mapping[str, Any], key: str, file: Path) -> bool:
    value = content.get(key) or False
    if not isinstance(value, bool):
        raise UnreadableError(f"{file}: {key} must be true or false, got {short(value)}")
    return value


def _rank(value: Any, key: str, file: Path) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _LARGEST_RANK:
        raise UnreadableError(f"{file}: {key} must be a positive whole number, got {short(value)}")
    return value


def _alpha(value: Any, key: str, file: Path) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not abs(value) <= _LARGEST_SCALE:
        raise UnreadableError(f"{file}: {key} must be a number, got {short(value)}")
    return float(value)


def _names(value: Any, file: Path) -> frozenset[str]:
    names = value if isinstance(value, list) else [value] if value else []
    are_short = all(isinstance(name, str) and len(name) <= _LONGEST_PATTERN for name in names)
    if not are_short or len(names) > _MOST_PATTERNS:
        raise UnreadableError(
            f"{file}: modules_to_save must list names of modules: at most {_MOST_PATTERNS}, of "
            f"{_LONGEST_PATTERN} characters"
        )
    return frozenset(names)


def _pattern(key: str, file: Path) -> re.Pattern[str]:
    """Compile a name of layers, which is a regular expression for the end of their names."""
    is_short = len(_QUANTIFIER.findall(key)) <= _MOST_QUANTIFIERS and key.count("(") <= _MOST_GROUPS
    is_quick = is_short and not _SLOW.search(key)
    if len(key) <= _LONGEST_PATTERN and is_quick:
        try:
            return re.compile(rf"(.*\.)?({key})$")
        except (re.error, OverflowError):  # of a number of repetitions
            pass
    raise UnreadableError(f"{file}: alpha_pattern {short(key)} is not a plain name: {MERGE_IT}")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME else None


def short(value: Any) -> str:
    """Write a value of a stranger for a message: short, and on one line."""
    return f"{value!r:.80}"
