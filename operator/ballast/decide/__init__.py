"""The pure half of the operator: a frozen snapshot goes in, small frozen actions come out.

Nothing here does I/O, reads a clock or draws a random number; `now` is a field of the snapshot.
The same code runs in the operator and in the simulator.
"""
