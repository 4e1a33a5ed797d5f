"""How fast the server is, beside what the machine could do at best: see docs/benchmarks.md."""
