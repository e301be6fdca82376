"""Models that answer: who may be asked, the servers that keep them warm, and how they are asked. Light: no PyTorch."""
