"""The errors this package raises.

MiniLMError
  InputError(ValueError)   the caller's texts or options
  ArtifactError            model folder missing, altered or unfamiliar
  SessionError             onnxruntime refused; the original as __cause__
"""


class MiniLMError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(MiniLMError, ValueError):
    """A text or an option that cannot be used as given."""


class ArtifactError(MiniLMError):
    """A model folder that is missing, altered or unfamiliar."""


class SessionError(MiniLMError):
    """onnxruntime could not load or run the graph; its own error is the cause."""
