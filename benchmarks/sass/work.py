"""Bytes and operations of every launch, counted as the launchers of csrc/cuda make them.

Within a launch each number crosses the memory's pins once, the caches serve the rest; between two
launches nothing stays in a cache. Padding of tiles counts as work. An instruction of one lane is
one operation here: an addition and a multiply-add cost the same. Where scratch memory makes a
launcher work in rounds it has as much as it asks for, and what rounds repeat is counted.
"""

from __future__ import annotations

import dataclasses

TILE = 32
#: csrc/cuda/rounds.h: enough_scratch.
SCRATCH = 256 << 20


@dataclasses.dataclass(frozen=True)
class Launch:
    """One kernel, launched `times` times; bytes and operations are those of all together.

    `float32` and `float64` count instructions of a lane, `products` multiply-adds of tiles, which
    go to tensor cores as three TF32 ones each.
    """

    kernel: str
    bytes: float
    float32: float = 0.0
    float64: float = 0.0
    products: float = 0.0
    times: int = 1


def up(value: int, step: int) -> int:
    return -(-value // step) * step


def pairs(N: int) -> int:
    return N * (N - 1) // 2


def tiles(N: int, size: int = TILE) -> int:
    """On and above the diagonal."""
    blocks = -(-N // size)
    return blocks * (blocks + 1) // 2


def words(N: int, C: int) -> int:
    """Bytes of one model's unit rows."""
    return 4 * C * up(N, 64)


def model_bytes(N: int, C: int) -> int:
    """Scratch of one model's unit rows: its description, its means, its words."""
    return 64 + 8 * (N + C) + words(N, C)


UNIT_ROWS_BYTES = 5 * 256


def scratch(count: int, each: int, fixed: int) -> int:
    """How many bytes a launcher of `count` models asks for."""
    return min(fixed + count * each, max(fixed + each, SCRATCH))


def rounds_of(count: int, each: int, fixed: int, available: int) -> int:
    """In how many rounds that many bytes let it work."""
    return -(-count // ((available - fixed) // each))


def unit_rows(S: int, N: int, C: int, times: int = 1) -> list[Launch]:
    """Both means, then rows of length 1: an element is read three times, and made a float64."""
    read = 4.0 * S * N * C
    return [
        Launch("describe", 80.0 * S, times=times),
        Launch("row_means", read + 8.0 * S * N, float64=2.0 * S * N * C, times=times),
        Launch("class_means", read + 8.0 * S * C, float64=3.0 * S * N * C, times=times),
        Launch("unit_rows", read + S * words(N, C), float64=9.0 * S * N * C, times=times),
    ]


def correlation(S: int, N: int, C: int) -> list[Launch]:
    wide, narrow = tiles(N, 64), tiles(N)
    computed = 4 * wide if 3 * wide < narrow else narrow
    needed = S, model_bytes(N, C), UNIT_ROWS_BYTES
    rounds = rounds_of(*needed, scratch(*needed))
    return [
        *unit_rows(S, N, C, rounds),
        Launch(
            "correlation",
            S * words(N, C) + 4.0 * S * pairs(N),
            products=float(S) * computed * TILE**2 * up(C, 8),
            times=rounds,
        ),
    ]


def pairwise_distance(A: int, B: int | None, P: int) -> list[Launch]:
    """B: None compares A rows with themselves."""
    columns = A if B is None else B
    square = up(A, 64) * up(columns, 64)
    narrow = up(max(A, columns), 128) * up(min(A, columns), 24)
    if B is None:
        area, made = tiles(A, 64) * 64 * 64, tiles(A, 64)
    elif narrow < square // 8 * 7:
        area, made = narrow, narrow // (128 * 24)
    else:
        area, made = square, square // (64 * 64)
    chunks, groups = -(-P // 256), -(-P // 2048)
    parts = chunks if made * groups < 2048 else groups
    sums = 4.0 * area * parts
    rounds = -(-int(sums) // SCRATCH)
    read = 4.0 * P * (A if B is None else A + B)
    additions = 2 + 1 / 32  # an element's, and its share of what adds up chains
    return [
        Launch(
            "pairwise_distance", read + sums, float32=additions * area * up(P, 32), times=rounds
        ),
        Launch(
            "pairwise_distance, sums",
            sums + 4.0 * A * columns,
            float64=float(area) * groups,
            times=rounds,
        ),
    ]


def correlation_sums(
    S: int, N: int, C: int, K: int, *, instructions: int, squares: bool
) -> list[Launch]:
    """K fixed rows; `instructions` a number: two additions of distances, one of products.

    With `squares`, of the partial score, correlations are made by FMAs.
    """
    laid, models, made = up(K, 4), up(S, 8), tiles(N)
    sums = laid + (4 if squares else 0)

    def each(part: int) -> int:
        return up(4 * part * sums, 256) + up(8 * sums, 256) + model_bytes(N, C)

    def fixed(part: int) -> int:
        return up(4 * TILE**2 * part * laid, 256) + UNIT_ROWS_BYTES

    # All tiles at a time where everything fits, else some, in half of what is beyond the least; of
    # those some models at a time.
    available = scratch(S, each(made), fixed(made))
    spare = (available - fixed(1) - each(1)) // 2
    most = min(made, 1 + spare // (4 * TILE**2 * laid + 4 * sums))
    parts = 1 if fixed(made) + S * each(made) <= available else -(-made // most)
    part = -(-made // parts)
    rounds = rounds_of(S, each(part), fixed(part), available)
    layings = 1 if parts == 1 else rounds

    rows = 4.0 * made * TILE**2 * laid
    partial = 4.0 * made * S * sums
    terms = float(instructions) * models * made * TILE**2 * (laid + (1 if squares else 0))
    products = float(models) * made * TILE**2 * up(C, 8)
    return [
        Launch("lay", layings * (4.0 * K * pairs(N) + rows), times=layings * parts),
        *unit_rows(S, N, C, rounds),
        Launch(
            "correlation_sums",
            parts * S * words(N, C) + rounds * rows + partial,
            float32=terms + products if squares else terms,
            products=0.0 if squares else products,
            times=rounds * parts,
        ),
        Launch(
            "correlation_sums, tiles",
            partial + 8.0 * S * sums * (2 * parts - 1),
            float64=float(made) * S * sums,
            times=rounds * parts,
        ),
    ]


def correlation_distance(S: int, N: int, C: int, V: int) -> list[Launch]:
    return correlation_sums(S, N, C, V, instructions=2, squares=False)


def correlation_products(S: int, N: int, C: int, K: int) -> list[Launch]:
    """The fixed rows are ones and the correlations of K - 1 origins with as many classes."""
    width = 64
    side_by_side = width // C
    by_pairs = tiles(N) * TILE**2 * (C + K + 1)
    if width < C or N * width**2 * (-(-(K - 1) // side_by_side) + 1) / side_by_side >= by_pairs:
        return [
            Launch("put", 8.0 * S, times=-(-S // 7168)),
            *correlation_sums(S, N, C, K, instructions=1, squares=True),
        ]
    panel = 4.0 * up(N, 64) * width
    groups, fixed = -(-S // side_by_side), -(-(K - 1) // side_by_side)
    each = model_bytes(N, C) + 8 * C * up(N, 64) + 8
    beside = UNIT_ROWS_BYTES + int(panel) + 6 * 256
    origins = scratch(K - 1, each, beside)
    available = min(SCRATCH, scratch(S, each, beside) + origins + 256)
    rounds = rounds_of(S, each, beside, available - up(origins, 256))
    items = groups * (fixed + 1)
    return [
        Launch("put", 8.0 * S, times=-(-S // 7168) + 2 + 2 * rounds),
        *unit_rows(K - 1, N, C),
        *unit_rows(S, N, C, rounds),
        Launch(
            "make_panels",
            (K - 1) * words(N, C) + fixed * panel + S * words(N, C) + groups * panel,
            times=1 + rounds,
        ),
        Launch("add_ones", groups * panel, float64=float(groups) * N * width, times=rounds),
        Launch(
            "multiply",
            (groups + fixed) * panel + 8.0 * S * (K + 1),
            float32=float(items) * width**2 * up(N, 8),
            float64=2.0 * items * width**2,
            times=rounds,
        ),
    ]
