"""Training for every family of models: a task brings network, loss and data; the rest is here."""
