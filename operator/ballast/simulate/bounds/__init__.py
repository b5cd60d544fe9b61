"""How few joules the same jobs could take: the exact optimum of small instances, a lower bound for large ones."""
