"""Images and texts over HTTP, as vectors and beside one another: /embed, /rank, and /classify by
words of the request."""

from service.protocols.embedding.classify import ClassifyEndpoint
from service.protocols.embedding.embed import add_embed
from service.protocols.embedding.rank import add_rank
from service.protocols.embedding.towers import Towers, Vectors

__all__ = ["ClassifyEndpoint", "Towers", "Vectors", "add_embed", "add_rank"]
