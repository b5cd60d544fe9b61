"""What running jobs did is entered into the energy profiles of their namespaces."""
