"""The published formulae of slow hazards as pure functions, one subject a file, each with its source."""
