"""Are stolen face-embedding models told from innocent ones, those of the owner's people included?

    python -m benchmarks.detection.faces train --data FILE      make the models (25 minutes on one
                                                                core; goes on where it stopped)
    python -m benchmarks.detection.faces outputs --data FILE    put the probe set to them, write
                                                                faces_outputs.*
    python -m benchmarks.detection.faces figures                everything measured, from
                                                                faces_outputs.* alone

Training needs `pip install '.[benchmarks]'`. FILE, an .npz, holds the photographs of the 217 people
of whom Labeled Faces in the Wild has eight or more: JPEG bytes one behind the other, `jpeg`, where
each begins and the last one ends, `offsets`, and the number of its person, `labels`.

What is committed are the outputs (each model's cosines of 200 probes against 64 reference images,
float16, which is what verification scores are; embeddings come to the same ranks), the truth and
the figures. No photograph and no weight is.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
OUTPUTS = HERE / "faces_outputs.safetensors"
TRUTH = HERE / "faces_models.csv"
RESULT = HERE.parent / "results" / "faces.json"
REFERENCES, PROBES = 64, 200

#: `accuracy` is 1 - the equal error rate on pairs of photographs of people that no model has
#: learnt; `eer` and `far1` are the cosines at which a service would say yes: at equal errors, and
#: where 1 % of the pairs of two people get a yes. `agreement`: with the source, on yes and no.
COLUMNS = (
    "model", "source", "attack", "group", "part", "accuracy", "source_accuracy", "agreement",
    "family", "eer", "far1",
)  # fmt: skip


def write_outputs(data: Path, work: Path) -> None:
    """The truth table and the outputs of every model that has been made."""
    import torch

    from benchmarks.detection.faces_networks import centred, embed, inputs
    from benchmarks.detection.faces_plan import plan
    from benchmarks.detection.faces_training import Photographs, loaded
    from sacfast import face_probes, fri_features

    torch.set_num_threads(1)
    photographs = Photographs(data)
    pixels, people = photographs.of(photographs.seen)
    probes = face_probes(
        pixels, references=REFERENCES, count=PROBES, labels=people.tolist(), progress=False
    )
    shown = centred(inputs(probes.pixels))
    models = [model for model in plan() if (work / f"{model.name}.json").exists()]
    diaries = {m.name: json.loads((work / f"{m.name}.json").read_text()) for m in models}
    scores: dict[str, np.ndarray[Any, Any]] = {}
    for model in models:
        embeddings = embed(loaded(model, work), shown)
        cosines = fri_features(embeddings[REFERENCES:], embeddings[:REFERENCES])
        scores[model.name] = np.asarray(cosines, dtype=np.float16)
    facts = {"outputs_kind": "scores", "probe_digest": probes.digest, "probes": "faces, jpeg 25"}
    save_file(scores, OUTPUTS, facts)
    with TRUTH.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        for model in models:
            own = diaries[model.name]
            row = {name: getattr(model, name) for name in ("source", "attack", "group", "part")}
            row |= {"model": model.name, "family": model.family}
            row |= {name: f"{own[name]:.5f}" for name in ("accuracy", "eer", "far1")}
            if model.source:
                source = diaries[model.source]
                said = [scores[name] >= diaries[name]["eer"] for name in (model.name, model.source)]
                row["source_accuracy"] = f"{source['accuracy']:.5f}"
                row["agreement"] = f"{(said[0] == said[1]).mean():.5f}"
            table.writerow(row)
    print(f"{len(models)} models, {OUTPUTS.stat().st_size / 2**20:.1f} MiB, probes {probes.digest}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train", "outputs", "figures"))
    parser.add_argument(
        "--data",
        type=Path,
        help="An .npz file of photographs; needed to train and for the outputs.",
    )
    parser.add_argument("--work", type=Path, default=Path("build/faces"), help="Keeps the weights.")
    options = parser.parse_args()
    if options.what != "figures" and options.data is None:
        parser.error(f"{options.what} needs --data")
    if options.what == "train":
        from benchmarks.detection.faces_training import make_all

        make_all(options.data, options.work)
    elif options.what == "outputs":
        write_outputs(options.data, options.work)
    else:
        from benchmarks.detection.faces_figures import figures

        RESULT.write_text(json.dumps(figures(OUTPUTS, TRUTH), indent=1) + "\n", encoding="utf-8")
        print(f"written to {RESULT.name}")


if __name__ == "__main__":
    main()
