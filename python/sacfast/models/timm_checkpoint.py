"""A timm checkpoint: `config.json` and `model.safetensors`, as on the Hugging Face hub.

The config names an architecture of timm's own list, never a hub, URL or local reference, and
may set the architecture's shape (`model_args`) through a list of known names: nothing that
timm's factory itself acts on (pretrained weights, checkpoint paths, feature wrappers) gets
through. The network is built without weights, its parameters are compared with the file by
name, shape and type, and only then filled. Nothing is downloaded. Weights larger than the memory
that the model may take are not read, and a network that could not have so few tensors is not
built. One without a classifier (`num_classes` 0) answers with embeddings.

The digest covers what the network is made of (architecture, classes, settings, input shape) and
the bytes of the weights, not the rest of the config: a changed description is the same model.
The bytes that fill the network are hashed once more on their way into it, so a digest is always
that of what ran.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sacfast.errors import ModelError, RefusedModelError
from sacfast.models._files import SafeFile, short
from sacfast.models._safetensors import read_header
from sacfast.models.answers import MAX_CLASSES, checked_answers
from sacfast.models.preprocess import Preprocessing

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sacfast.probes.probe_set import ProbeSet

_BATCH_PIXELS = 1 << 21
_MAX_BATCH = 256
_MAX_ARGS = 32
_MAX_LIST = 64

# What a config may set of an architecture: sizes, counts, rates, and the names of timm's layers.
# fmt: off
_MODEL_ARGS = frozenset({
    "act_layer", "attn_drop_rate", "avg_down", "base_width", "block_config", "block_reduce_first",
    "bottle_ratio", "cardinality", "channels", "class_token", "conv_bias", "conv_mlp", "depth",
    "depth_mult", "depths", "dim", "dims", "down_kernel_size", "drop_path_rate", "drop_rate",
    "dynamic_img_size", "embed_dim", "embed_dims", "expand_ratio", "expansion_ratio", "fc_norm",
    "final_norm", "fix_init", "global_pool", "groups", "growth_rate", "head_bias", "head_dim",
    "head_hidden_size", "head_init_scale", "head_norm", "head_norm_first", "hidden_sizes",
    "img_size", "in_chans", "init_values", "kernel_size", "kernel_sizes", "layers", "ls_init_value",
    "mlp_ratio", "mlp_ratios", "no_embed_class", "norm_eps", "norm_layer", "num_blocks",
    "num_features", "num_heads", "num_init_features", "output_stride", "pad_type", "patch_norm",
    "patch_size", "pos_drop_rate", "pos_embed", "pre_norm", "proj_drop_rate", "qk_norm", "qkv_bias",
    "reg_tokens", "rel_pos_type", "replace_stem_pool", "se_ratio", "stem_chs", "stem_kernel_size",
    "stem_size", "stem_stride", "stem_type", "stem_width", "use_grn", "weight_init", "width",
    "width_factor", "width_mult", "window_size", "zero_init_last",
})
# fmt: on
# Those of them that say how many blocks there are: one number, or one for each stage.
_BLOCK_COUNTS = ("block_config", "depth", "depth_mult", "depths", "layers", "num_blocks")
# fmt: off
_DTYPES = {
    "BOOL": "bool", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
    "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
    "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64",
}
# fmt: on
_CODE_REQUESTS = ("auto_map", "trust_remote_code", "custom_pipelines")


class TimmCheckpoint:
    """A network of timm's, with its weights in a safetensors file."""

    digits = None
    k = None
    framework = "timm"

    def __init__(
        self, weights: Path, root: Path, config: Mapping[str, Any], memory: int | None = None
    ) -> None:
        for name in _CODE_REQUESTS:
            if config.get(name):
                raise RefusedModelError(f"config.json asks for code of its own to be run ({name})")
        details = config.get("pretrained_cfg", config)
        if not isinstance(details, dict):
            raise ModelError("pretrained_cfg in config.json must be an object")
        self._architecture = _architecture(config)
        self._num_classes = _num_classes(config, details)
        self.outputs_kind = "logits" if self._num_classes else "embeddings"
        self._model_args = _model_args(config.get("model_args"), self._num_classes)
        self._preprocessing = Preprocessing.from_config(details)
        self._weights = file = SafeFile.check(weights, root)
        if memory is not None and file.size > memory:
            raise ModelError(
                f"{file.name} has {file.size / 2**30:.1f} GiB, more than the memory limit of "
                f"{memory / 2**30:.1f} GiB"
            )
        self._tensors = read_header(file).tensors
        _check_blocks(self._model_args, len(self._tensors))
        self.preprocessing_digest = self._preprocessing.digest
        self.weights_digest = file.sha256()
        self.digest = self._digest()

    def outputs(self, probes: ProbeSet) -> NDArray[Any]:
        """The network's logits or embeddings on the probes, float32 (N, C)."""
        import torch

        with torch.inference_mode():
            network = self._network()
            batches: list[NDArray[np.float32]] = []
            height, width = self._preprocessing.input_size
            step = max(1, min(_MAX_BATCH, _BATCH_PIXELS // (height * width)))
            for start in range(0, len(probes), step):
                inputs = self._preprocessing.apply(probes.pixels[start : start + step])
                try:
                    result = network(torch.from_numpy(inputs))
                except Exception as error:  # any layer may raise anything
                    raise ModelError(
                        f"{self._architecture} failed while answering: {short(error)}"
                    ) from error
                batches.append(self._answers(result, len(inputs)))
        return checked_answers(np.concatenate(batches), self.outputs_kind, len(probes))

    def _network(self) -> nn.Module:
        import timm
        import torch

        if not timm.is_model(self._architecture):
            raise ModelError(f"architecture {self._architecture!r} is not in timm's list")
        channels, size = self._preprocessing.channels, self._preprocessing.input_size
        try:
            # What a network's start leaves random and its weights don't set must not vary.
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                network = timm.create_model(
                    self._architecture,
                    pretrained=False,
                    num_classes=self._num_classes,
                    pretrained_cfg_overlay={"input_size": (channels, *size)},
                    **self._model_args,
                )
        except Exception as error:  # and so may any constructor
            raise ModelError(
                f"timm can't build {self._architecture} as config.json describes it: {short(error)}"
            ) from error
        state = self._state()
        _check_state(network.state_dict(), state)
        network.load_state_dict(state)
        return network.float().eval()

    def _state(self) -> dict[str, Tensor]:
        """The weights, out of the very bytes that the digest is of."""
        import torch

        state = {}
        digest = hashlib.sha256()
        with self._weights.open() as handle:
            # The header that was checked, and then its tensors, one behind the other to the end.
            digest.update(handle.read(next(iter(self._tensors.values())).offset))
            for name, tensor in self._tensors.items():
                dtype = getattr(torch, _DTYPES[tensor.dtype])
                values = torch.empty(tensor.shape, dtype=dtype)
                if tensor.nbytes:
                    data = values.reshape(-1).view(torch.uint8).numpy()
                    if handle.readinto(data.data) != tensor.nbytes:
                        raise self._weights.changed()
                    digest.update(data.data)
                state[name] = values
        if digest.hexdigest() != self.weights_digest:
            raise self._weights.changed()
        return state

    def _answers(self, result: Any, rows: int) -> NDArray[np.float32]:
        import torch

        if not isinstance(result, torch.Tensor):
            raise ModelError(f"{self._architecture} answers with a {type(result).__name__}")
        wanted = self._num_classes or "E"  # an embedding has the size that the network gives it
        fits = result.ndim == 2 and len(result) == rows and 0 < result.shape[1] <= MAX_CLASSES
        if not fits or self._num_classes not in (0, result.shape[1]):
            raise ModelError(
                f"{self._architecture} answers {rows} probes with the shape "
                f"{tuple(result.shape)}, expected ({rows}, {wanted})"
            )
        return np.asarray(result.float().numpy())

    def _digest(self) -> str:
        head = {
            "format": "timm",
            "architecture": self._architecture,
            "num_classes": self._num_classes,
            "model_args": self._model_args,
            "input": [self._preprocessing.channels, *self._preprocessing.input_size],
            "weights": self.weights_digest,
        }
        return hashlib.sha256(json.dumps(head, sort_keys=True).encode()).hexdigest()


def _architecture(config: Mapping[str, Any]) -> str:
    name = config.get("architecture")
    if name is None:
        if "architectures" in config:
            raise ModelError(
                "config.json is one of the transformers library, which is not supported yet; "
                "timm's `architecture` is needed"
            )
        raise ModelError("config.json names no `architecture`")
    if not isinstance(name, str) or not name:
        raise ModelError("`architecture` in config.json must be text")
    if re.search(r"[:/\\]|^hf[-_]hub|^local[-_]dir", name):
        raise RefusedModelError(
            f"`architecture` must be a name out of timm's own list, not a reference: {name[:80]!r}"
        )
    base = name.partition(".")[0]
    if not re.fullmatch(r"[A-Za-z0-9_]{1,100}", base):
        raise ModelError(f"architecture {name[:80]!r} is not in timm's list")
    return base


def _num_classes(config: Mapping[str, Any], details: Mapping[str, Any]) -> int:
    value = config.get("num_classes", details.get("num_classes"))
    if value is None:
        raise ModelError("config.json gives no `num_classes`")
    if (
        not isinstance(value, int)
        or isinstance(value, bool)
        or not (value == 0 or 2 <= value <= MAX_CLASSES)
    ):
        raise ModelError(
            f"`num_classes` must be a whole number from 2 to {MAX_CLASSES}, or 0 for embeddings, "
            f"got {str(value)[:40]!r}"
        )
    return value


def _model_args(given: Any, num_classes: int) -> dict[str, Any]:
    """What the config sets of the architecture; timm's export repeats `num_classes` there."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ModelError("`model_args` in config.json must be an object")
    if len(given) > _MAX_ARGS:
        raise ModelError(f"`model_args` has {len(given)} settings, more than {_MAX_ARGS}")
    repeated = given.get("num_classes", num_classes)
    if repeated != num_classes or isinstance(repeated, bool):
        raise ModelError(
            f"`model_args` says {str(repeated)[:40]!r} classes, `num_classes` {num_classes}"
        )
    settings = {name: value for name, value in given.items() if name != "num_classes"}
    for name, value in settings.items():
        if name not in _MODEL_ARGS:
            raise RefusedModelError(f"`model_args` may not set {name[:40]!r}")
        items = value if isinstance(value, list) else [value]
        if len(items) > _MAX_LIST or not all(_scalar(item) for item in items):
            raise ModelError(f"`model_args`: {name!r} must be a number, a word or a list of them")
    return settings


def _check_blocks(args: Mapping[str, Any], tensors: int) -> None:
    """Every block has a tensor of its own, so there can't be more blocks than tensors."""
    for name in _BLOCK_COUNTS:
        value = args.get(name)
        counts = value if isinstance(value, list) else [value]
        blocks = sum(n for n in counts if isinstance(n, (int, float)) and n > 0)
        if blocks > tensors:
            raise ModelError(
                f"`model_args`: {name!r} asks for more blocks than the {tensors} tensors of the "
                "weights can fill"
            )


def _scalar(value: Any) -> bool:
    if isinstance(value, str):
        return re.fullmatch(r"[A-Za-z0-9_]{0,40}", value) is not None
    return value is None or isinstance(value, (bool, int, float))


def _check_state(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Compare a file's tensors with a network's; the first of each kind of fault is named."""
    import torch

    missing = sorted(set(expected) - set(given))
    unexpected = sorted(set(given) - set(expected))
    faults = []
    if missing:
        faults.append(f"{len(missing)} missing (first {missing[0][:80]!r})")
    if unexpected:
        faults.append(f"{len(unexpected)} unexpected (first {unexpected[0][:80]!r})")
    for name in expected:
        if name in given and given[name].shape != expected[name].shape:
            got, want = tuple(given[name].shape), tuple(expected[name].shape)
            faults.append(f"{name!r} has the shape {got}, expected {want}")
            break
    if faults:
        raise ModelError(f"the weights don't fit the architecture: {'; '.join(faults)}")
    for name, tensor in given.items():
        if tensor.is_floating_point() != expected[name].is_floating_point():
            raise ModelError(f"weight {name!r} has the type {tensor.dtype}")
        if tensor.is_floating_point() and not torch.isfinite(tensor.float()).all():
            raise ModelError(f"the weights hold NaN or Inf (first in {name!r})")
