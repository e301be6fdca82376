"""What a training run may ask for, whether this machine can do it, and how a run is going; nothing here is heavy."""
