"""What is said of a null bank that is not what it must be, and of one that is."""

from __future__ import annotations

from warnings import catch_warnings, simplefilter

import numpy as np
import pytest

from sacfast.errors import NullBankError
from sacfast.fingerprint import Fingerprint, FingerprintKey
from sacfast.scanning.hygiene import looked_over
from sacfast.scanning.plan import OWNER_TWINS

PROBES, CLASSES = 60, 8


class Models:
    """Models that share what every good model knows, and have each something of its own."""

    def __init__(self, seed=0):
        self.generator = np.random.default_rng(seed)
        self.common = self.noise()

    def noise(self):
        return self.generator.standard_normal((PROBES, CLASSES))

    def model(self):
        return self.common + self.noise()

    def bank(self, count):
        return {f"null-{i}": fingerprint(self.model()) for i in range(count)}


def fingerprint(outputs, kind="logits", **settings):
    outputs = np.asarray(outputs)
    if outputs.dtype == np.float64:
        outputs = outputs.astype(np.float32)
    digest = str(abs(hash(outputs.tobytes())))
    return Fingerprint(FingerprintKey(digest, "p", "", kind), outputs, **settings)


def look(sources, bank, groups=None):
    sources = {f"source-{i}": source for i, source in enumerate(sources)}
    kept, warnings = looked_over(sources, bank, groups or {name: name for name in bank})
    return list(kept), warnings


@pytest.fixture
def models():
    return Models()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("count", [2, 9, 20, 60])
def test_a_clean_bank_passes_without_a_word(seed, count):
    models = Models(seed)
    bank = models.bank(count)
    assert look([fingerprint(models.model())], bank) == (list(bank), [])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("copies", [1, 3])
def test_copies_stand_out_though_they_hide_one_another(seed, copies):
    models = Models(seed)
    bank, source = models.bank(30), models.model()
    for i in range(copies):
        bank[f"copy-{i}"] = fingerprint(source + 0.4 * models.noise())
    kept, warnings = look([fingerprint(models.model()), fingerprint(source)], bank)
    assert kept == list(bank)
    assert len(warnings) == copies
    assert {warning.split(":")[0] for warning in warnings} == {
        f"null model copy-{i} looks like a copy of source source-1" for i in range(copies)
    }


def test_many_copies_share_a_warning(models):
    bank, source = models.bank(60), models.model()
    for i in range(5):
        bank[f"copy-{i}"] = fingerprint(source + 0.4 * models.noise())
    warnings = look([fingerprint(source)], bank)[1]
    assert len(warnings) == 4
    assert warnings[-1] == "2 more null models look like copies of a source"


def test_a_copy_stands_out_where_the_source_answers_labels_only(models):
    bank, source = models.bank(40), models.model()
    bank["copy"] = fingerprint(source + 0.05 * models.noise())
    labels = fingerprint(source.argmax(axis=1), "labels")
    [warning] = look([labels], bank)[1]
    assert warning.startswith("null model copy looks like a copy")


def test_the_very_answers_of_a_source_are_an_error(models):
    source = models.model()
    bank = models.bank(20) | {"same": fingerprint(source)}
    with pytest.raises(
        NullBankError, match="same, which gives the very answers of source source-0"
    ):
        look([fingerprint(source)], bank)


def test_the_same_answers_count_once(models):
    bank = models.bank(20)
    bank["again"] = bank["null-3"]
    kept, warnings = look([fingerprint(models.model())], bank)
    assert kept == list(bank)[:-1]
    assert warnings == ["null model again left out: gives the very answers of null-3"]


def test_equal_labels_are_no_duplicate(models):
    labels = models.model().argmax(axis=1)
    bank = {f"null-{i}": fingerprint(labels, "labels") for i in range(3)}
    assert look([fingerprint(labels, "labels")], bank)[0] == list(bank)


def test_nearly_the_same_answers_count_once(models):
    bank = models.bank(20)
    outputs = bank["null-3"].outputs
    bank["rounded"] = fingerprint(np.round(outputs, 1))
    bank["rounded-too"] = fingerprint(np.round(outputs * 0.9, 1))
    kept, warnings = look([fingerprint(models.model())], bank)
    assert kept == list(bank)[:20]
    assert warnings == [
        f"null model {name} left out: answers nearly as null-3: not a draw of its own"
        for name in ("rounded", "rounded-too")
    ]


def test_near_duplicates_of_one_group_stay(models):
    bank = models.bank(20)
    bank["rounded"] = fingerprint(np.round(bank["null-3"].outputs, 1))
    groups = {name: "null-3" if name == "rounded" else name for name in bank}
    assert look([fingerprint(models.model())], bank, groups) == (list(bank), [])


def test_a_bank_that_cannot_be_looked_over_says_so(models):
    bank, source = models.bank(20), models.model()
    outputs = {name: one.outputs.copy() for name, one in bank.items()}
    for i, rows in enumerate(outputs.values()):  # no probe is left that everybody answered
        rows[3 * i : 3 * i + 3] = np.nan
    bank = {name: fingerprint(rows) for name, rows in outputs.items()}
    kept, [warning] = look([fingerprint(source)], bank)
    assert kept == list(bank)
    assert warning.startswith("the null bank was not looked over for copies: Detector: ")


def test_embeddings_are_looked_over_too(models):
    source = models.model()
    turn = np.linalg.qr(models.noise()[:CLASSES])[0]
    bank = {f"null-{i}": fingerprint(models.model(), "embeddings") for i in range(30)}
    bank["copy"] = fingerprint((source + 0.2 * models.noise()) @ turn, "embeddings")
    [warning] = look([fingerprint(source, "embeddings")], bank)[1]
    assert warning.startswith("null model copy looks like a copy")


def test_an_owner_twin_is_no_copy(models):
    source = models.model()
    honest = {f"twin-{i}": fingerprint(source + models.noise()) for i in range(2)}
    bank = models.bank(20) | honest
    groups = {name: OWNER_TWINS if name in honest else name for name in bank}
    assert look([fingerprint(source)], bank, groups) == (list(bank), [])
    copied = fingerprint(source + 5 + 0.01 * models.noise())
    kept, warnings = look([fingerprint(source)], bank | {"twin-1": copied}, groups)
    assert kept == list(bank)
    assert [told.split(":")[0] for told in warnings] == [
        "owner twin twin-1 answers nearly as source source-0"
    ]
    with pytest.raises(NullBankError, match="twin-1, which gives the very answers of source"):
        look([fingerprint(source)], bank | {"twin-1": fingerprint(source)}, groups)


def test_two_probes_are_too_few_to_stand_out(models):
    bank = {name: fingerprint(one.outputs[:2]) for name, one in models.bank(20).items()}
    with catch_warnings():
        simplefilter("error")
        assert look([fingerprint(models.model()[:2])], bank) == (list(bank), [])
