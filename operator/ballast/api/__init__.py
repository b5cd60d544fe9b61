"""The API group `ballast.dev`: models, quantities, conditions and the CRDs rendered from them.

Depends on pydantic only, so that the pure layer `decide` and the simulator can import it.
"""
