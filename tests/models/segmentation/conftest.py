from tests.models.training.conftest import fresh_accelerator

__all__ = ["fresh_accelerator"]
