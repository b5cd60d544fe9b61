"""A cluster in memory, as the operator's own `observe` and `decide` see one: objects, kubelets, agents."""
