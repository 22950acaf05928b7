"""What decides whether a copy is found? Studies on the outputs of a zoo, one command each.

`python -m benchmarks.detection.studies NAME ... --zoo benchmarks/detection/zoo --part test`, or
`all`.

    asked.py     what the models are asked and how it is compared
        probes         how many probes are needed, of each probe set
        quality        JPEG quality of the probes
        kinds          every probe kind (the papers' Fig. 2)
        centring       what is taken out of the outputs first, and the papers' rbf kernels
        bank           how large a null bank must be, and what it can say at all
        access         logits to labels: suspects, sources and null bank in one access mode
        ablation       what each ingredient of the score is worth, on both parts
        misclassified  probes that the source gets wrong (SAC-source) against random ones
    found.py     which copies are found, and what hiding costs
        evasions       free ones applied to the copies' answers; filtered and trained ones
        thresholds     set on one source, applied to the others (the papers' Figs. 4 and 5)
        cost           accuracy that an attack lost, agreement that it kept, how well it is found
        twins          owner twins in the null bank against none
    evading.py   what a thief changes in a copy's answers for free
    zoo.py       outputs and truth -> comparisons -> figures; every comparison is made once
    figures.py   rows -> SVG

A zoo is a folder with models.csv and an outputs archive a probe set, as `sacfast evaluate` reads
them; study/ below it holds those of the many probe kinds. Figures are macro-averages over the
trained attacks of plan.py, copies that lost more than 15 points of accuracy left out: AUC within a
source, and TPR with one threshold for all sources. The null bank is the part "calibrate". Choose on
the part "select"; "test" is for what has been chosen.
"""

from __future__ import annotations
