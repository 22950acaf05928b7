"""How fast probes are made, and what pillow-simd would gain.

`run` starts one process per contestant's environment (Pillow or pillow-simd, one core or two) and
asks them in turn, round by round, so that a slow spell of the machine meets all alike; `worker` is
such a process; `contestants` says what they run; `table` writes the stored figures into
docs/probes.md.
"""
