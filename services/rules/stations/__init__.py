"""The judgement of readings, station by station: columns of state, compiled kernels over them, votes of a site."""
