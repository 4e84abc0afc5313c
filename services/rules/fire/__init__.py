"""Forest fire: cameras' sightings become tracks, bearings that cross become a position, fire weather shifts the level."""
