"""Stand-in for the package that OpenEvolve evaluators import; only what they use."""
