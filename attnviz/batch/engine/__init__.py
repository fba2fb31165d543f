"""What runs a batch: the job, its chunks, workers of this machine and of a cluster."""
