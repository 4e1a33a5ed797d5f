"""What a machine with a GPU can prove: answers, throughput, serving, painting. `make gpu-check`."""
