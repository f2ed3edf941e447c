"""Stand-in for the package that ShinkaEvolve evaluators import; only what they use."""
