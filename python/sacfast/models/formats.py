"""Which file names mean what.

Four groups decide how a folder or file is treated, here and when a registry is listed:

- what is read: `model.safetensors` beside `config.json`, and answers in `outputs.*`;
- what can run code when it is opened, and is therefore refused: pickles under their many names,
  TorchScript, torch.export archives (whose loader falls back to unpickling), joblib, Keras;
- other model formats, which this version does not read;
- everything else (README.md, images, logs), which is ignored.
"""

from __future__ import annotations

from pathlib import PurePath

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
OUTPUTS = ("outputs.safetensors", "outputs.npy")
OUTPUTS_SUFFIXES = frozenset({".safetensors", ".npy"})

_PICKLES = frozenset(
    {".bin", ".ckpt", ".dill", ".joblib", ".pickle", ".pkl", ".pt", ".pth", ".t7", ".nemo"}
)
_PROGRAMS = frozenset({".pt2", ".ptl", ".torchscript", ".pte"})
_KERAS = frozenset({".h5", ".hdf5", ".keras"})
CODE_SUFFIXES = _PICKLES | _PROGRAMS | _KERAS

OTHER_SUFFIXES = frozenset(
    {".onnx", ".tflite", ".gguf", ".ggml", ".msgpack", ".pb", ".mlmodel", ".mlpackage"}
    | {".engine", ".plan", ".caffemodel", ".pdparams", ".npz", ".params"}
)

# The file's own name stays out of these commands: a stranger chose it, and they are made to be
# copied into a shell.
_CONVERT = (
    'convert it: python -c "import torch, safetensors.torch as s; '
    "s.save_file(torch.load('FILE', weights_only=True, map_location='cpu'), 'model.safetensors')\""
)


def is_model_file(name: str) -> bool:
    """Whether a file of this name is a model, or part of one, be it readable or not."""
    suffix = PurePath(name).suffix.lower()
    return suffix in OUTPUTS_SUFFIXES or suffix in OTHER_SUFFIXES or can_run_code(name)


def marks_model_folder(name: str) -> bool:
    """Whether a file of this name makes the folder that holds it a model.

    Other `.npy` and `.safetensors` files don't: each of them is a model's outputs by itself.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix in OUTPUTS_SUFFIXES:
        return name == WEIGHTS or name in OUTPUTS
    return name == CONFIG or suffix in OTHER_SUFFIXES or can_run_code(name)


def can_run_code(name: str) -> bool:
    """Whether loading a file of this name can run what its maker put in."""
    return PurePath(name).suffix.lower() in CODE_SUFFIXES


def refusal(name: str) -> str:
    """Why a file that can run code is refused, and what its owner can do about it."""
    suffix = PurePath(name).suffix.lower()
    if suffix in _KERAS:
        return (
            f"{name!r} is a Keras file, which can run code when it is opened; export its weights, "
            "or collect its answers and save them as outputs.npy"
        )
    if suffix in _PROGRAMS:
        return (
            f"{name!r} is a program, which can run code when it is opened; on a machine that "
            "trusts it, save its state_dict as model.safetensors with timm's config.json, or its "
            "answers as outputs.npy"
        )
    return f"{name!r} is a pickle, which can run code when it is opened; {_CONVERT}"
