"""A world in which the truth is known: models that share a task, copies that share more."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from safetensors.numpy import save_file

N, CLASSES = 60, 6
#: How much of its source a copy keeps, by attack; at 0 it is nobody's copy.
KEPT = {"fine-tune": 0.9, "extraction": 0.3, "shift": 1.0}


class World:
    """Models on two probe sets, with their rows of the truth file."""

    def __init__(self, seed=0, authors=24, copies=4):
        rng = np.random.default_rng(seed)
        self.task = rng.standard_normal((2, N, CLASSES))
        self.rows, self.outputs = [], {}
        for part, sources in (("select", ["s"]), ("test", ["a", "b"])):
            for source in sources:
                self.add(rng, source, "", "source", source, part, accuracy=0.9)
                for attack, kept in KEPT.items():
                    for i in range(copies):
                        name = f"{source}.{attack}{i}"
                        trained = "no" if attack == "shift" else ""
                        self.add(
                            rng, name, source, attack, source, part,
                            accuracy=0.85, agreement=0.8, kept=kept, trained=trained,
                            twin=f"{source}.twin" if attack == "extraction" else "",
                        )  # fmt: skip
                self.add(rng, f"{source}.twin", "", "honest twin", source, part, agreement=0.7)
        for author in range(authors):
            part = ("calibrate", "calibrate", "calibrate", "select", "test", "test")[author % 6]
            for i in range(2):
                self.add(rng, f"i{author}.{i}", "", "independent", f"author{author}", part)

    def add(self, rng, name, source, attack, group, part, *, kept=0.0, **more):
        own = rng.standard_normal(self.task.shape)
        if source:
            own = kept * self.own[source] + np.sqrt(1 - kept**2) * own
        else:
            self.own = {**getattr(self, "own", {}), name: own}
        bias = rng.standard_normal(CLASSES)  # says nothing, but the papers' distance sees it
        self.outputs[name] = (self.task + own + bias).astype(np.float16)
        self.rows.append(
            {
                "model": name,
                "source": source,
                "attack": attack,
                "group": group,
                "part": part,
                **more,
            }
        )

    def write(self, folder, rows=None):
        columns = [
            "model", "source", "attack", "group", "part", "accuracy", "agreement", "twin",
            "trained",
        ]  # fmt: skip
        with (folder / "models.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(self.rows if rows is None else rows)
        paths = []
        for i, probes in enumerate(("jpeg", "noise")):
            paths.append(folder / f"{probes}.safetensors")
            save_file(
                {name: np.ascontiguousarray(one[i]) for name, one in self.outputs.items()},
                paths[-1],
                {"outputs_kind": "logits", "probe_digest": f"{i}" * 64},
            )
        return folder / "models.csv", paths


@pytest.fixture(scope="session")
def world():
    return World()


@pytest.fixture(scope="session")
def files(world, tmp_path_factory):
    return world.write(tmp_path_factory.mktemp("world"))
