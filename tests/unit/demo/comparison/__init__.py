"""The comparison of Ballast with kube-scheduler alone, without a cluster."""
