"""breeder: an open AlphaEvolve for the ML stack."""

__version__ = "0.1.0"
