"""Checkpoints from elsewhere: their files, their names for parameters, their classes.

One file a layout says which of our families it is and how its tensors are renamed.
"""
