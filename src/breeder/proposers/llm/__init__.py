"""Language models as proposers: prompts, edits, ensembles, small local models."""
