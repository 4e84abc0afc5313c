"""Rules judged over history: what they would have found, how well that met what happened, and how others differ. Pure."""
