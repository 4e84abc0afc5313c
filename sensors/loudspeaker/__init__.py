"""A township's broadcast system as an outside world: it is told by webhook and reads aloud."""
