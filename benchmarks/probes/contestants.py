"""What is timed: for every task, who runs it and how.

A contestant is prepared once, with the images it gets and the cores it may use, and gives back a
function without arguments: one run over all images. What it returns is checked, not timed.

    round trip    JPEG at quality 25 and back, what `build_probes(kind="jpeg")` does
    decode        files of JPEG at quality 90 to pixels
    resize        a photo to 224x224, what `build_probes(size=224)` and networks' inputs need
    build         the whole of `build_probes` on JPEG photos of 375x500, resized to 224
    corruptions   one common corruption at severity 1
"""

from __future__ import annotations

import atexit
import io
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from sacfast.probes import build_probes
from sacfast.probes.corruptions import CORRUPTIONS, corrupted
from sacfast.probes.jpeg import decode, jpeg_round_trip
from sacfast.probes.resize import resized

QUALITY = 25
WANTED = (224, 224)
Run = Callable[[], Any]


@dataclass(frozen=True)
class Contestant:
    """One way to do a task.

    Args:
        name: As the table calls it.
        task: Of the list above.
        pil: Which PIL its process needs: "pillow", "pillow-simd", or "same", a Pillow of
            pillow-simd's version; "any" where it uses none.
        prepare: From (images, cores) to the function that is timed.
        same: Its bytes must be those of the task's first contestant.
        cores: With how many cores it is measured.
    """

    name: str
    task: str
    pil: str
    prepare: Callable[[Any, int], Run]
    same: bool = True
    cores: tuple[int, ...] = (1, 2)


def photos(side: tuple[int, int], count: int) -> np.ndarray:
    """Pictures with edges, gradients and noise, uint8 (count, H, W, 3)."""
    height, width = side
    generator = np.random.default_rng([height, width])
    rows, columns = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)[None, :]
    made = np.empty((count, height, width, 3), np.uint8)
    for image in made:
        waves = generator.uniform(2, 40, (6, 3, 2))
        phases = generator.uniform(0, 6.28, (6, 3))
        sums = sum(
            np.sign(np.sin(a[:, 0] * rows[..., None] + a[:, 1] * columns[..., None] + p))
            if number % 3 == 0
            else np.sin(a[:, 0] * rows[..., None] + a[:, 1] * columns[..., None] + p)
            for number, (a, p) in enumerate(zip(waves, phases, strict=True))
        )
        noise = generator.normal(0, 8, (height, width, 3))
        image[...] = (128 + 22 * sums + noise).clip(0, 255)
    return made


def encoded(images: np.ndarray) -> list[bytes]:
    """As files of JPEG, quality 90."""
    from PIL import Image

    files = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=90)
        files.append(buffer.getvalue())
    return files


@contextmanager
def _no_dali() -> Iterator[None]:
    before = sys.modules.get("nvidia.dali")
    sys.modules["nvidia.dali"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["nvidia.dali"]
        if before is not None:
            sys.modules["nvidia.dali"] = before


def _sacfast_dali(images: np.ndarray, _: int) -> Run:
    def run() -> np.ndarray:
        made, library = jpeg_round_trip(images, quality=QUALITY)
        if not library.startswith("nvidia-dali"):
            raise RuntimeError(f"DALI was to be measured, got {library}")
        return made

    return run


def _sacfast_pil(images: np.ndarray, _: int) -> Run:
    def run() -> np.ndarray:
        with _no_dali():
            return jpeg_round_trip(images, quality=QUALITY)[0]

    return run


def _dali_kept(images: np.ndarray, cores: int) -> Run:
    from nvidia import dali

    pipeline = dali.pipeline.Pipeline(
        batch_size=len(images), num_threads=cores, device_id=None, prefetch_queue_depth=1
    )
    with pipeline:
        fed = dali.fn.external_source(name="images", layout="HWC")
        pipeline.set_outputs(dali.fn.jpeg_compression_distortion(fed, quality=QUALITY))
    pipeline.build()
    batch = list(images)

    def run() -> np.ndarray:
        pipeline.feed_input("images", batch)
        (answer,) = pipeline.run()
        return np.stack([np.array(answer.at(index)) for index in range(len(batch))])

    return run


def _torchvision_trip(images: np.ndarray, cores: int) -> Run:
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg, encode_jpeg

    tensors = [torch.from_numpy(image).permute(2, 0, 1).contiguous() for image in images]
    pool = ThreadPoolExecutor(cores)

    def one(tensor: Any) -> np.ndarray:
        data = encode_jpeg(tensor, quality=QUALITY)
        return decode_jpeg(data, mode=ImageReadMode.RGB).permute(1, 2, 0).numpy()

    return lambda: np.stack(list(pool.map(one, tensors)))


def _imagecorruptions_trip(images: np.ndarray, cores: int) -> Run:
    from imagecorruptions import corrupt

    pool = ThreadPoolExecutor(cores)

    def one(image: np.ndarray) -> Any:
        return corrupt(image, severity=1, corruption_name="jpeg_compression")

    return lambda: np.stack(list(pool.map(one, images)))


def _sacfast_decode(images: np.ndarray, _: int) -> Run:
    files = encoded(images)
    return lambda: np.stack([decode(file) for file in files])


def _torchvision_decode(images: np.ndarray, _: int) -> Run:
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    files = [torch.frombuffer(bytearray(file), dtype=torch.uint8) for file in encoded(images)]
    return lambda: np.stack(
        [
            decode_jpeg(file, mode=ImageReadMode.RGB).permute(1, 2, 0).contiguous().numpy()
            for file in files
        ]
    )


def _sacfast_resize(images: np.ndarray, _: int) -> Run:
    return lambda: np.stack([resized(image, WANTED, "bicubic") for image in images])


def _pil_resize(images: np.ndarray, _: int) -> Run:
    from PIL import Image

    return lambda: np.stack(
        [
            np.asarray(Image.fromarray(image).resize(WANTED[::-1], Image.Resampling.BICUBIC))
            for image in images
        ]
    )


def _torch_resize(images: np.ndarray, cores: int) -> Run:
    import torch
    from torchvision.transforms.v2.functional import InterpolationMode, resize

    torch.set_num_threads(cores)
    bicubic = InterpolationMode.BICUBIC

    def run() -> np.ndarray:
        # Channels last, which its kernel for uint8 takes as it is.
        made = [
            resize(torch.from_numpy(image).permute(2, 0, 1), list(WANTED), bicubic, antialias=True)
            for image in images
        ]
        return np.stack([image.permute(1, 2, 0).numpy() for image in made])

    return run


def _build(dali: bool) -> Callable[[Any, int], Run]:
    def prepare(images: np.ndarray, _: int) -> Run:
        folder = Path(mkdtemp(prefix="probes-"))
        atexit.register(shutil.rmtree, folder)
        for number, file in enumerate(encoded(images)):
            (folder / f"{number:04d}.jpg").write_bytes(file)

        def run() -> Any:
            return build_probes(folder, count=len(images), size=WANTED, progress=False).pixels

        def without() -> Any:
            with _no_dali():
                return run()

        return run if dali else without

    return prepare


def _corrupted(name: str) -> Callable[[Any, int], Run]:
    return lambda images, _: lambda: corrupted(images, name, severity=1, seed=0)[0]


CONTESTANTS = (
    Contestant("sacfast with Pillow", "round trip", "pillow", _sacfast_pil),
    Contestant("sacfast with pillow-simd", "round trip", "pillow-simd", _sacfast_pil),
    Contestant("sacfast with Pillow of that version", "round trip", "same", _sacfast_pil),
    Contestant("sacfast with DALI", "round trip", "pillow", _sacfast_dali),
    Contestant("DALI's operator, pipeline kept", "round trip", "any", _dali_kept),
    Contestant("torchvision", "round trip", "any", _torchvision_trip),
    Contestant("imagecorruptions", "round trip", "pillow", _imagecorruptions_trip),
    Contestant(
        "imagecorruptions with pillow-simd", "round trip", "pillow-simd", _imagecorruptions_trip
    ),
    Contestant("sacfast with Pillow", "decode", "pillow", _sacfast_decode, cores=(1,)),
    Contestant("sacfast with pillow-simd", "decode", "pillow-simd", _sacfast_decode, cores=(1,)),
    Contestant(
        "sacfast with Pillow of that version", "decode", "same", _sacfast_decode, cores=(1,)
    ),
    Contestant("torchvision", "decode", "any", _torchvision_decode, cores=(1,)),
    Contestant("sacfast", "resize", "any", _sacfast_resize, cores=(1,)),
    Contestant("Pillow", "resize", "pillow", _pil_resize, same=False, cores=(1,)),
    Contestant("pillow-simd", "resize", "pillow-simd", _pil_resize, same=False, cores=(1,)),
    Contestant("Pillow of that version", "resize", "same", _pil_resize, same=False, cores=(1,)),
    Contestant("torchvision", "resize", "any", _torch_resize, same=False, cores=(1,)),
    Contestant("sacfast with Pillow", "build", "pillow", _build(dali=False)),
    Contestant("sacfast with pillow-simd", "build", "pillow-simd", _build(dali=False)),
    Contestant("sacfast with DALI", "build", "pillow", _build(dali=True)),
    *(
        Contestant(name, f"corruption {name}", "pillow", _corrupted(name), cores=(1,))
        for name in CORRUPTIONS
    ),
)
