"""The bundle: the one contract between exporters and the server."""

from service.bundle.bundle import Bundle, BundleError, read_bundle, read_manifest, write_bundle
from service.bundle.golden import Tensors, check_golden, load_golden, save_golden
from service.bundle.manifest import (
    BATCH_AXIS,
    Fit,
    Graph,
    Label,
    Manifest,
    Parity,
    Provenance,
    Quality,
    TensorSpec,
    example_shape,
    parse_ref,
)
from service.bundle.repository import BundleRef, Repository, open_repository

__all__ = [
    "BATCH_AXIS",
    "Bundle",
    "BundleError",
    "BundleRef",
    "Fit",
    "Graph",
    "Label",
    "Manifest",
    "Parity",
    "Provenance",
    "Quality",
    "Repository",
    "TensorSpec",
    "Tensors",
    "check_golden",
    "example_shape",
    "load_golden",
    "open_repository",
    "parse_ref",
    "read_bundle",
    "read_manifest",
    "save_golden",
    "write_bundle",
]
