"""The main job on real input: stolen digit classifiers found among innocent ones.

`run_demo` (run.py) trains everything that a scan needs on scikit-learn's handwritten digits and
then hands over to the same commands that a user would type:

    digits.py     the images, cut into the owner's, the thief's and the probes' share
    networks.py   six tiny timm networks: made, trained, saved in the registry's layout
    thefts.py     the ways of stealing a network
    plan.py       which models a run makes, and which of them are stolen
    making.py     makes what the plan names, in two processes, and picks up where a run stopped
    truth.py      what the suspects really are, kept where no command looks
    show.py       what is printed
    run.py        the commands, and the truth beside their verdicts
"""

from __future__ import annotations

from sacfast.demo.run import run_demo

__all__ = ["run_demo"]
