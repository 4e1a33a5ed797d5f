"""RetinaNet (Lin et al. 2017): one stage, anchors on a pyramid, the focal loss."""
