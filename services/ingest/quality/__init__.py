"""Quality control: a list of steps over batches, each a pure function that sets flags and drops nothing."""
