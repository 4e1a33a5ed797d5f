"""The same models, spoken to as OpenAI's are: `base_url` is this server's /v1."""

from service.protocols.openai.embeddings import PATH as EMBEDDINGS
from service.protocols.openai.embeddings import add_embeddings
from service.protocols.openai.images import PATH as IMAGES
from service.protocols.openai.images import add_images
from service.protocols.openai.models import openai_models_router

__all__ = ["EMBEDDINGS", "IMAGES", "add_embeddings", "add_images", "openai_models_router"]
