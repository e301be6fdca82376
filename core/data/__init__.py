"""From a file somebody has to rows a run can be trained on, each step to be looked at before the next.

source  --read-->  Table  --map, mend, split-->  prepared data set
"""
