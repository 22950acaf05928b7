"""Folders that timm itself writes are opened as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sacfast import ProbeSet, build_probes
from sacfast.models import open_model


@pytest.fixture(scope="module")
def probes() -> ProbeSet:
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    return build_probes(images, kind="normal", count=4, select="first")


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("test_resnet", {}),
        ("test_vit", {"img_size": 32}),
        ("test_efficientnet", {"in_chans": 1}),
        ("resnet10t", {"global_pool": "max"}),
    ],
)
def test_save_for_hf_is_opened_as_it_is(
    tmp_path: Path, probes: ProbeSet, architecture: str, settings: dict[str, object]
) -> None:
    import timm
    import torch
    from timm.models import save_for_hf

    torch.manual_seed(0)
    network = timm.create_model(architecture, num_classes=7, **settings).eval()
    size = (settings.get("in_chans", 3), 32, 32)
    network.pretrained_cfg = {
        **network.pretrained_cfg,
        "input_size": size,
        "crop_pct": 1.0,
        "mean": (0.4, 0.5, 0.6)[: size[0]],
        "std": (0.2, 0.25, 0.3)[: size[0]],
    }
    arguments = {"num_classes": 7, "in_chans": size[0], **settings}
    save_for_hf(
        network,
        str(tmp_path / "net"),
        model_config={"model_args": arguments},
        safe_serialization=True,
    )
    outputs = open_model(tmp_path / "net").outputs(probes)
    assert outputs.shape == (4, 7)

    pixels = probes.pixels.astype(np.float64) / 255
    if size[0] == 1:
        from PIL import Image

        grey = [np.asarray(Image.fromarray(image).convert("L")) for image in probes.pixels]
        pixels = np.stack(grey)[..., None] / 255
    mean, std = (np.array(network.pretrained_cfg[key]) for key in ("mean", "std"))
    inputs = torch.from_numpy(((pixels - mean) / std).transpose(0, 3, 1, 2)).float()
    with torch.inference_mode():
        expected = network(inputs).numpy()
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)
