"""How good are the verdicts? A truth file laid beside a scan or beside the models' outputs.

    truth.py        which model is stolen from which, how, and by whom     CSV -> Truth
    archive.py      what many models answered on a probe set               safetensors -> Archive
    comparisons.py  every suspect against every source, by one method      outputs or scan -> scores
    measures.py     AUC, TPR, tests, F1, an attack and pooled              scores -> plain data
    calibration.py  p-values of innocents, FDR obtained against asked      many null banks -> data
    evaluating.py   all of it in order                                     files -> Evaluation
    result.py       facts and measures, and the files that keep them
    page.py         one HTML page with figures

Nothing is chosen here: the list of attacks that are pooled, the part that is looked at and the
statistic are fixed by the caller, and whatever needs a threshold takes it from other models. The
same files and the same seed give the same numbers.
"""

from __future__ import annotations

from sacfast.evaluation.evaluating import evaluate
from sacfast.evaluation.result import Evaluation

__all__ = ["Evaluation", "evaluate"]
