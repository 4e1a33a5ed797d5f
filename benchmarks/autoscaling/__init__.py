"""What the scalers of k8s/ would do with a day's traffic, simulated request by request."""
