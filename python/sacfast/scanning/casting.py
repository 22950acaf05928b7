"""Who plays which role, once it is known which models gave outputs.

Files are recognised byte for byte: a null model that is a source is an error, two null models that
are one are counted once, a suspect that is a null model is none, and suspects that are one another
are judged once, so that a hundred links to a copy do not shift the false discovery rate. Weights
are recognised behind a changed config too.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sacfast.errors import ModelError, NullBankError
from sacfast.fingerprint import FingerprintKey
from sacfast.scanning.plan import Plan
from sacfast.store import ModelRecord
from sacfast.text import one_line

#: Kinds of outputs fine enough that equal numbers mean one model; labels of two good models agree.
TELLING = ("logits", "logprobs", "embeddings")

#: More null models than this that can't serve share one warning.
_TOLD_SINGLY = 3


@dataclass
class Cast:
    """The models of a scan by role.

    Attributes:
        sources, null_bank: Those that gave outputs, each file once.
        suspects: Those to be judged, each fingerprint once.
        twins: Suspects with the fingerprint of one that is judged, each with that one's name.
        others: Records of suspects that are not judged: failed, or a null model themselves.
        groups: The group of every member of the null bank.
        warnings: Sentences for people.
    """

    sources: list[ModelRecord] = field(default_factory=list)
    null_bank: list[ModelRecord] = field(default_factory=list)
    suspects: list[ModelRecord] = field(default_factory=list)
    twins: list[tuple[ModelRecord, str]] = field(default_factory=list)
    others: list[ModelRecord] = field(default_factory=list)
    groups: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def cast_models(records: list[ModelRecord], plan: Plan) -> Cast:
    """Settles the roles.

    Raises:
        ModelError: If a source gave no outputs.
        NullBankError: If the null bank holds a source, or fewer than two other models.
    """
    cast = Cast()
    sources: dict[str, ModelRecord] = {}
    for record in (record for record in records if record.role == "source"):
        if record.status != "ok":
            raise ModelError(f"scan: source {record.name} gave no outputs: {record.reason}")
        sources.setdefault(_identity(record), record)
    cast.sources = list(sources.values())
    nulls = _null_bank(records, plan, sources, cast)
    judged: dict[FingerprintKey, str] = {}
    for record in (record for record in records if record.role == "suspect"):
        null, source = nulls.get(_identity(record)), sources.get(_identity(record))
        key = record.key("")
        if record.status != "ok":
            cast.others.append(record)
        elif null is not None and null.model_digest == record.model_digest:
            reason = f"byte-identical to null model {null.name}"
            cast.others.append(replace(record, status="null model", reason=reason))
        elif key in judged:
            reason = f"byte-identical to {judged[key]}"
            cast.twins.append((replace(record, reason=reason), judged[key]))
        else:
            judged[key] = record.name
            if source is not None:
                record = replace(record, copy_of=source.name)
            cast.suspects.append(record)
    return cast


def _null_bank(
    records: list[ModelRecord], plan: Plan, sources: dict[str, ModelRecord], cast: Cast
) -> dict[str, ModelRecord]:
    """The bank's members that can serve, by what they hold."""
    nulls: dict[str, ModelRecord] = {}
    unfit: dict[str, str] = {}
    for record in (record for record in records if record.role == "null"):
        identity = _identity(record)
        if record.status != "ok":
            unfit[record.name] = record.reason
        elif identity in sources:
            raise NullBankError(
                "scan: `null_bank` must hold independent models only, got "
                f"{record.name}, byte-identical to source {sources[identity].name}"
            )
        elif identity in nulls:
            unfit[record.name] = f"byte-identical to {nulls[identity].name}"
        else:
            nulls[identity] = record
    if len(nulls) < 2:
        raise NullBankError(
            f"scan: `null_bank` must hold at least 2 models that answer, got {len(nulls)}",
            hint=next((one_line(f"{name}: {why}", 300) for name, why in unfit.items()), None),
        )
    cast.warnings += left_out(unfit)
    group_of = dict(zip((e.name for e in plan.null_bank), plan.null_groups(), strict=True))
    cast.null_bank = list(nulls.values())
    cast.groups = {record.name: group_of[record.name] for record in cast.null_bank}
    return nulls


def left_out(reasons: dict[str, str], where: str = "") -> list[str]:
    """Warnings about null models that can't serve: a sentence each, or one for many."""
    if len(reasons) <= _TOLD_SINGLY:
        return [f"null model {name} left out{where}: {why}" for name, why in reasons.items()]
    first = list(reasons)[:_TOLD_SINGLY]
    told = "; ".join(f"{name}: {reasons[name]}" for name in first)
    return [f"{len(reasons)} null models left out{where}, among them {told}"]


def _identity(record: ModelRecord) -> str:
    """What tells that two files hold one model, whatever their configs say."""
    return record.weights_digest if record.outputs_kind in TELLING else record.model_digest
