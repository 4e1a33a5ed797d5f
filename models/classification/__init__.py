"""Image classification: one label of a fixed list for a whole image."""

from models.classification.checkpoint import load_classifier, save_classifier
from models.classification.network import Classifier
from models.classification.spec import ClassifierSpec

__all__ = ["Classifier", "ClassifierSpec", "load_classifier", "save_classifier"]
