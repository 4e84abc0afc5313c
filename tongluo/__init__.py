"""The shared words of Tongluo and its edges to the world; knows no service."""

from importlib.metadata import version

__version__ = version("tongluo")
