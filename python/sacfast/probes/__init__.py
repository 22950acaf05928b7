"""Probes: the images that are put to every model, frozen once.

An owner's images come in through `images` (a folder, paths or arrays, read one at a time), are
brought to one size (`resize`, in whole numbers of our own), go through one augmentation (`augment`;
its JPEG comes from `jpeg`, which alone knows Pillow and NVIDIA DALI), and leave as a `ProbeSet`:
decoded pixels with a digest, in one file. `build` ties them together. Nothing after this room
decodes or encodes an image again, so two models that were asked with the same digest have seen the
same bytes.
"""

from __future__ import annotations

from sacfast.probes.build import build_probes, export_probes
from sacfast.probes.probe_set import ProbeSet

__all__ = ["ProbeSet", "build_probes", "export_probes"]
