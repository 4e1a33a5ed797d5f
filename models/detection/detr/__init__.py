"""DETR (Carion et al. 2020): a set of boxes at once, by attention and matching, without NMS."""
