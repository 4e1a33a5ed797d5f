"""Faster R-CNN on a pyramid (Ren et al. 2015, Lin et al. 2017): propose, then look again."""
