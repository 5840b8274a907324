"""registry-trust makes container runtimes trust private registries, on every node and with no restart."""

__version__ = "0.1.0"
