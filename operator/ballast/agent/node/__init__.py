"""What the node's API objects and its kubelet say."""
