"""A load generator: for `panoptes bench`, and for the benchmarks of this project."""
