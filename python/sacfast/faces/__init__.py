"""Face verification: models that say whether two photographs show one person.

Such a model has no classes. It gives an embedding a photograph, or, behind a service, a score or a
yes or no a pair of photographs. So N probes are shown together with R reference images, and what
characterises a probe is how it scores against each of them: FRI, the features from reference
images. `photographs` builds the one probe set that holds both (first the references, as they are,
then the probes, JPEG-compressed), `features` makes (N, R) scores of whatever a model answers on it.
The detector takes these in two forms: "fri", the paper's, and "direct", ours.

What looks most like a theft here is an honest model that was trained on the same people. Owner
twins, a few models that the owner trains on its own data with other seeds, tell the two apart.
"""

from __future__ import annotations

from sacfast.faces.features import FACE_KINDS, fri
from sacfast.faces.photographs import face_probes

__all__ = ["FACE_KINDS", "face_probes", "fri"]
