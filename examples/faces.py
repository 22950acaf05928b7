"""Face verification from photographs to verdicts, in a minute and without a GPU.

    python examples/faces.py PHOTOS          PHOTOS has one sub-folder a person, eight photographs
                                             or more of each, and some eighty people

A third of the people are the owner's, a third belong to others, and the rest are seen in references
and probes only. The models are small so that they can be read: random convolutions, then a linear
map learnt in closed form that tells its people apart, and which serves as an embedding of anybody.
One is the owner's. A thief got hold of it, dropped a third of its filters and fitted the rest to
its answers about photographs of his own; once he offers it as it is, once as a service that says
yes or no. Everybody else is honest, three of them trained on the very people of the owner.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sacfast import Detector, face_probes, fri
from sacfast.probes.images import list_images
from sacfast.probes.jpeg import fit

SIDE, FILTERS, REFERENCES, PROBES = 32, 96, 32, 80
Array = NDArray[np.float64]


def features(photographs: NDArray[np.uint8], seed: int, kept: int) -> Array:
    """The first of the random 5×5 convolutions, rectified and pooled over a 7×7 grid."""
    grey = photographs.mean(axis=3, dtype=np.float32)
    grey -= grey.mean(axis=(1, 2), keepdims=True)
    grey /= grey.std(axis=(1, 2), keepdims=True) + 1e-9
    windows = np.lib.stride_tricks.sliding_window_view(grey, (5, 5), axis=(1, 2))
    filters = np.random.default_rng(seed).standard_normal((FILTERS, 25), np.float32)[:kept] / 5
    answers = np.maximum(windows.reshape(*windows.shape[:3], 25) @ filters.T - 0.5, 0)
    pooled = answers.reshape(len(grey), 7, 4, 7, 4, kept).mean(axis=(2, 4), dtype=np.float64)
    return np.asarray(pooled.reshape(len(grey), -1))


class Model:
    """Embeddings that are linear in random features, fitted to targets by ridge regression."""

    def __init__(
        self, seed: int, photographs: NDArray[np.uint8], targets: Array, kept: int = FILTERS
    ) -> None:
        self.seed, self.kept = seed, kept
        x = features(photographs, seed, kept)
        self.mean = x.mean(axis=0)
        x = x - self.mean
        kernel = x @ x.T
        ridge = 0.05 * np.trace(kernel) / len(x)
        self.weights = x.T @ np.linalg.solve(kernel + ridge * np.eye(len(x)), targets)

    def embeddings(self, photographs: NDArray[np.uint8]) -> Array:
        x = features(photographs, self.seed, self.kept) - self.mean
        return np.asarray(x @ self.weights)


def one_hot(labels: NDArray[np.str_]) -> Array:
    people = np.unique(labels)
    return (labels[:, None] == people).astype(np.float64) - 1 / len(people)


def main(folder: str) -> None:
    listed = list_images(folder, None)
    if listed.labels is None:
        sys.exit(f"{folder} must hold one sub-folder a person")
    photographs = np.stack([fit(listed.read(i)[0], (SIDE, SIDE)) for i in range(len(listed))])
    labels = np.array(listed.labels)
    people = np.random.default_rng(0).permutation(np.unique(labels))
    owned, others, seen = (np.isin(labels, third) for third in np.array_split(people, 3))

    # What everybody is asked: references first, then probes, of people whom nobody has learnt.
    probes = face_probes(
        photographs[seen], references=REFERENCES, count=PROBES, labels=labels[seen].tolist()
    )

    def honest(seed: int, whose: NDArray[np.bool_]) -> Model:
        return Model(seed, photographs[whose], one_hot(labels[whose]))

    def scores_of(model: Model) -> NDArray[np.float32]:
        return fri(model.embeddings(probes.pixels), "embeddings", references=REFERENCES)

    source = honest(1, owned)
    detector = Detector(
        [scores_of(source)],
        [scores_of(honest(seed, others)) for seed in range(100, 112)],
        form="direct",
        owner_twins=[scores_of(honest(seed, owned)) for seed in range(2, 5)],
    )
    asked = photographs[others]
    stolen = Model(source.seed, asked, source.embeddings(asked), kept=2 * FILTERS // 3)
    suspects = {"stolen": scores_of(stolen)}
    copy = stolen.embeddings(probes.pixels)
    unit = copy / np.linalg.norm(copy, axis=1, keepdims=True)
    cosines = unit[REFERENCES:] @ unit[:REFERENCES].T
    yes = cosines > np.quantile(cosines, 0.9)  # a service that says yes or no
    suspects["stolen, answers yes or no"] = fri(yes, "decisions", references=REFERENCES)
    for seed in range(20, 23):
        suspects[f"honest, the owner's people ({seed})"] = scores_of(honest(seed, owned))
        suspects[f"honest, other people ({seed + 10})"] = scores_of(honest(seed + 10, others))
    found = detector.scores(list(suspects.values()))
    for name, score, p in zip(suspects, found.score[:, 0], found.p[:, 0], strict=True):
        print(f"{name:34}  score {score:5.2f}  p {p:.2f}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit(__doc__)
    main(sys.argv[1])
