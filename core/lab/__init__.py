"""The reward lab: what a reward would teach, seen on sample completions before anything is trained."""
