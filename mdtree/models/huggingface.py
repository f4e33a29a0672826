"""Hugging Face folders: the network that `config.json` describes. Local files only, no remote code.

The only file that imports transformers (the extra `hf`).  Only `config.json` is read, and only
once, so that the content that is hashed is the content that is used.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from mdtree.exceptions import MdtreeError, MissingExtraError, RecipeError
from mdtree.factory import asked_to_fetch
from mdtree.regular_file import TooLargeError, read_json
from mdtree.runtime import torchvision as vision
from mdtree.runtime.offline import offline
from mdtree.runtime.requirements import refuse_older

__all__ = ["Head", "from_folder"]

_LARGEST = 1 << 26  # bytes of a config
_MOST_LABELS = 1_000_000  # transformers makes names for all of them

# keys at any depth by which a config reaches beyond itself -> what they would do
_BEYOND = {
    "auto_map": "asks for code that comes with the weights (auto_map), which is never run; "
    "install the model's package and name its factory",
    "configuration_files": "takes settings from other files (configuration_files), but only "
    "config.json is read: move the settings into it",
    "attribute_map": "renames its keys (attribute_map), which transformers never writes: "
    "remove the key",
}
# transformers fetches an implementation of another name, and runs it
_IMPLEMENTATION = re.compile(r"_?(attn|experts)_implementation(?P<inner>_\w+)?")
_IMPLEMENTATIONS = ("eager", "sdpa", "batched_mm", "grouped_mm")
# what timm would look up elsewhere: hf-hub:user/network, local-dir:/path
_NAMES = ("architecture", "backbone")
# module, name, and value by which transformers asks nobody and fetches no code
_SWITCHES: tuple[tuple[str, str, Any], ...] = (
    ("transformers.dynamic_module_utils", "TIME_OUT_REMOTE_CODE", 0),  # seconds for an answer
    ("transformers.integrations.hub_kernels", "_kernels_enabled", False),
)


# what PEFT calls a task -> how transformers names the models for it
_TASKS = {
    "CAUSAL_LM": "AutoModelForCausalLM",
    "FEATURE_EXTRACTION": "AutoModel",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
    "SEQ_2_SEQ_LM": "AutoModelForSeq2SeqLM",
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
}


@dataclass(frozen=True, kw_only=True)
class Head:
    """The head that a network was trained with, where the config tells of another one."""

    task: str | None = None  # as PEFT names it
    architecture: str | None = None  # the class, if there is no task
    labels: int | None = None


def from_folder(folder: Path, head: Head | None = None) -> nn.Module:
    """Build the network of a folder with `config.json`, without loading its weights.

    Args:
        folder: The folder with the config.
        head: The head, where an adapter was trained with its own.

    Raises:
        RecipeError: The config cannot be read, or does not describe a network by itself.
        MissingExtraError: transformers is not installed, or too old.
    """
    path = folder / "config.json"
    config = _config(path)
    if head is not None:
        config = _with_head(config, head)
    with offline(str(path)):
        kind = _for_task(_transformers(), _kind(_transformers(), config, path), head)
    try:
        with offline(str(path)), _without_prompts():
            network: nn.Module = kind(_settings(kind, config))
    except MdtreeError:
        raise
    except Exception as error:
        raise RecipeError(
            f"{path} does not describe a {kind.__name__}: {_first_line(error)}"
        ) from error
    return network


def _transformers() -> Any:
    try:
        with vision.usable():
            import transformers
    except ImportError as error:
        raise MissingExtraError(
            "Hugging Face folders need the package transformers: pip install 'mdtree-diagnosis[hf]'"
        ) from error
    refuse_older("transformers", transformers.__version__)
    return transformers


def _kind(transformers: Any, config: dict[str, Any], path: Path) -> Any:
    """Find the class of transformers that the config names."""
    names = config.get("architectures")
    name = names[0] if isinstance(names, list) and names else None
    kind: Any = getattr(transformers, name, None) if isinstance(name, str) else None
    base: Any = transformers.PreTrainedModel
    if base not in getattr(kind, "__mro__", ()):
        raise RecipeError(
            f"{path} names the architecture {name!r}, "
            f"which transformers {transformers.__version__} does not have"
        )
    return kind


def _with_head(config: dict[str, Any], head: Head) -> dict[str, Any]:
    """Let a config describe the head of an adapter."""
    if head.architecture is not None:
        config = {**config, "architectures": [head.architecture]}
    labels = config.get("id2label")
    if head.labels is None or (isinstance(labels, dict) and len(labels) == head.labels):
        return config
    left = {key: value for key, value in config.items() if key not in ("id2label", "label2id")}
    return {**left, "num_labels": head.labels}


def _for_task(transformers: Any, kind: Any, head: Head | None) -> Any:
    """Return the class of the same kind of network for the task of an adapter."""
    name = None if head is None else _TASKS.get(head.task or "")
    if name is None:
        return kind
    known = getattr(transformers, name)._model_mapping  # noqa: SLF001 - the only table of these
    found = known.get(kind.config_class, kind)
    return found if isinstance(found, type) else kind


def _settings(kind: Any, config: dict[str, Any]) -> Any:
    """Read the config with transformers, in a folder that holds nothing else."""
    with tempfile.TemporaryDirectory() as alone:
        Path(alone, "config.json").write_text(json.dumps(config), encoding="utf-8")
        return kind.config_class.from_pretrained(
            alone, local_files_only=True, trust_remote_code=False
        )


def _config(path: Path) -> dict[str, Any]:
    """Read a config, and refuse one that refers to anything outside itself."""
    try:
        config = read_json(path, _LARGEST)
    except OSError as error:
        raise RecipeError(
            f"{path} does not describe a network ({error.strerror or error}): name it with "
            "--model, or with model in a recipe"
        ) from error
    except TooLargeError as error:
        raise RecipeError(f"{path} is too large for a config: {error}") from error
    except ValueError as error:
        raise RecipeError(f"{path} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise RecipeError(f"{path} must contain a JSON object, got a {type(config).__name__}")
    for part in _parts(config):
        _check(part, path)
        _keep_implementations(part)
    return config


def _parts(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a config and every dictionary nested in it."""
    left: list[Any] = [config]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            yield value
            left += value.values()
        elif isinstance(value, list):
            left += value


def _check(part: dict[str, Any], path: Path) -> None:
    """Refuse keys by which a config refers to something outside itself."""
    for key, fault in _BEYOND.items():
        if part.get(key):
            raise RecipeError(f"{path} {fault}")
    labels = part.get("num_labels")
    if isinstance(labels, int | float) and labels > _MOST_LABELS:
        raise RecipeError(f"{path} has num_labels: {labels}, at most {_MOST_LABELS} allowed")
    arguments = part.get("model_args")  # of timm
    if isinstance(arguments, dict) and (fetching := asked_to_fetch(arguments)):
        raise RecipeError(f"{path}: leave out {', '.join(fetching)}, mdtree loads your own weights")
    for key in _NAMES:
        if isinstance(name := part.get(key), str) and ":" in name:
            raise RecipeError(
                f"{path} refers to another place with {key} {name!r:.100}: write a plain name"
            )


def _keep_implementations(part: dict[str, Any]) -> None:
    """Keep only implementations of attention and experts that transformers itself contains."""
    for key in list(part):
        if (match := _IMPLEMENTATION.fullmatch(key)) is None:
            continue
        if match["inner"]:
            del part[key]
        else:
            part[key] = _own_implementations(part[key])


def _own_implementations(value: Any) -> Any:
    if isinstance(value, dict):  # one for each inner config
        return {key: _own_implementation(inner) for key, inner in value.items()}
    return _own_implementation(value)


def _own_implementation(name: Any) -> Any:
    return name if name is None or name in _IMPLEMENTATIONS else "eager"


@contextmanager
def _without_prompts() -> Iterator[None]:
    """Prevent transformers from prompting to run remote code, and from fetching kernels."""
    modules = [(sys.modules.get(name), key, value) for name, key, value in _SWITCHES]
    switches = [(vars(m), key, value) for m, key, value in modules if m is not None]
    before = [(module, key, module[key]) for module, key, _ in switches if key in module]
    for module, key, value in switches:
        if key in module:
            module[key] = value
    try:
        yield
    finally:
        for module, key, value in before:
            module[key] = value


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
