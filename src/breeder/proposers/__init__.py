"""What makes new programs: contract, tree edits, constant tuning, recombination, mixture."""
