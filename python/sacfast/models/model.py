"""What a model is to the rest of the package, and the one way to open one.

A folder is one of

    NAME/config.json + NAME/model.safetensors          a timm checkpoint
    NAME/outputs.safetensors                           answers collected elsewhere
    NAME/outputs.npy (+ NAME/config.json)              the same, from numpy

and a bare file NAME.safetensors or NAME.npy holds answers too. Weights win over answers, since
answers that lie beside weights could say anything; and both win over files that can run code,
which are never opened.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from sacfast.errors import ModelError, RefusedModelError
from sacfast.models import formats
from sacfast.models._files import read_config, why
from sacfast.models.outputs_file import OutputsFile
from sacfast.models.timm_checkpoint import TimmCheckpoint

if TYPE_CHECKING:
    from sacfast.probes.probe_set import ProbeSet

_MAX_NAMES = 10_000


class Model(Protocol):
    """Something that answers probes.

    Attributes:
        digest: SHA-256 (hex) of the content: the same model, the same digest.
        weights_digest: The same of its weights alone, or of the numbers that it answered: what
            stays when only its description changes.
        preprocessing_digest: The same of how probes are prepared for it; "" where they aren't.
        outputs_kind: What its answers are: logits, probs, labels, ... (see canonical_outputs).
        digits: Decimals that its probabilities were rounded to, where known.
        k: How many classes a top-k answer gives.
        framework: The package that runs it, imported when it must answer; "" for none.
    """

    @property
    def digest(self) -> str: ...
    @property
    def weights_digest(self) -> str: ...
    @property
    def preprocessing_digest(self) -> str: ...
    @property
    def outputs_kind(self) -> str: ...
    @property
    def digits(self) -> int | None: ...
    @property
    def k(self) -> int | None: ...
    @property
    def framework(self) -> str: ...

    def outputs(self, probes: ProbeSet) -> NDArray[Any]:
        """Answers on the probes: float32 (N, C), or int64 (N,) for labels."""
        ...


def open_model(
    path: Path | str, *, root: Path | str | None = None, memory: int | None = None
) -> Model:
    """Open a model without running it.

    Args:
        path: Its folder, or a bare file of answers.
        root: The folder that links inside the model may lead to, usually the registry. Without
            it, the model's own folder; in a Hugging Face cache, the `models--ORG--NAME` folder.
        memory: Bytes that running it may take; weights that are larger are not even read.

    Raises:
        RefusedModelError: If opening it could run code or reach out of `root`.
        ModelError: If it is not a model, or a broken one. The message is one sentence.
    """
    path = Path(path)
    try:
        real = path.resolve(strict=True)
        boundary = Path(root).resolve(strict=True) if root is not None else _boundary(real)
        if not real.is_relative_to(boundary):
            raise RefusedModelError("it is a link that leads out of the registry")
        names = _names(real) if real.is_dir() else None
    except (OSError, RuntimeError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"it can't be opened: {why(error)}") from error
    if names is None:
        return _open_file(path, boundary)
    return _open_folder(real, names, boundary, memory)


def _open_file(path: Path, root: Path) -> Model:
    if path.suffix.lower() in formats.OUTPUTS_SUFFIXES:
        return OutputsFile(path, root, {})
    raise _unreadable([path.name])


def _open_folder(folder: Path, names: set[str], root: Path, memory: int | None) -> Model:
    if formats.WEIGHTS in names:
        if formats.CONFIG not in names:
            raise ModelError("there is model.safetensors but no config.json that describes it")
        config = read_config(folder / formats.CONFIG, root)
        return TimmCheckpoint(folder / formats.WEIGHTS, root, config, memory)
    for name in formats.OUTPUTS:
        if name in names:
            has_config = formats.CONFIG in names
            config = read_config(folder / formats.CONFIG, root) if has_config else {}
            return OutputsFile(folder / name, root, config)
    raise _unreadable(sorted(names))


def _unreadable(names: list[str]) -> ModelError:
    """The reason why none of these files makes a model that can be opened."""
    for name in names:
        if formats.can_run_code(name):
            return RefusedModelError(formats.refusal(name))
    for name in names:
        if PurePath(name).suffix.lower() in formats.OTHER_SUFFIXES:
            return ModelError(f"the format of {name[:80]!r} is not supported yet")
    for name in names:
        if PurePath(name).suffix.lower() in formats.OUTPUTS_SUFFIXES:
            return ModelError(
                f"{name[:80]!r} is not read: weights are expected in model.safetensors, answers "
                "in outputs.safetensors or outputs.npy"
            )
    if formats.CONFIG in names:
        return ModelError("there is config.json but no model.safetensors with the weights")
    if not names:
        return ModelError("the folder is empty")
    return ModelError(f"nothing in it is recognised as a model (first file {names[0][:80]!r})")


def _names(folder: Path) -> set[str]:
    """The names in a folder, of which hidden ones don't count."""
    names = set()
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                names.add(entry.name)
            if len(names) > _MAX_NAMES:
                raise ModelError(f"the folder holds more than {_MAX_NAMES} files")
    return names


def _boundary(real: Path) -> Path:
    """Where a model's links may lead when no registry is given."""
    if real.is_dir():
        if real.parent.name == "snapshots" and real.parent.parent.name.startswith("models--"):
            return real.parent.parent
        return real
    return real.parent
