"""The pipeline's stage, for what tends it."""

from tests.pipeline.conftest import cluster, play, play_anew

__all__ = ["cluster", "play", "play_anew"]
