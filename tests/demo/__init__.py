"""`make demo`: the whole of Ballast at work on a real cluster, watched and checked from outside.

Invariant: nothing here imports the operator. What the demo says and judges comes from the API server, so that it cannot
share a mistake with what it shows.
"""
