"""Everything that answers probes: sources, null models and suspects all come in here.

`open_model` looks at a folder or file, finds out what it is, and gives back a `Model`: something
with a content digest, a preprocessing digest, and a method that answers a probe set. Opening is
cheap and imports no framework; running a checkpoint imports torch and timm.

    model.py            the protocol, and the one door: open_model(path)
    timm_checkpoint.py  config.json + model.safetensors
    outputs_file.py     answers that were collected elsewhere (.safetensors, .npy)
    preprocess.py       from probe pixels to a network's input, with a digest
    formats.py         which file names mean what, and which are refused
    _files.py           opening files of strangers; strict JSON
    _safetensors.py     the header of a safetensors file, checked before anything else reads it
    answers.py          what a model's answers must look like

A model is hostile input. Nothing here unpickles, follows a link out of the registry, opens
anything but a regular file, or touches the network; whatever is wrong with a model becomes a
`ModelError` whose message is one sentence that can stand in that model's row.
"""

from __future__ import annotations

from sacfast.models.model import Model, open_model
from sacfast.models.preprocess import Preprocessing

__all__ = ["Model", "Preprocessing", "open_model"]
