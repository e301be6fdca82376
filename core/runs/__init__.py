"""Training runs on disk: their directories, what a job has written there, and what is done with whole runs."""
