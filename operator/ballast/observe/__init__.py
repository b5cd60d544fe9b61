"""What the operator knows of the world: watches and lists in, frozen snapshots out."""
