"""Where training data comes from: the built-in world, and users' own files."""
