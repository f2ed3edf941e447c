"""What makes new programs: the contract, tree edits, constant tuning, recombination, the mixture."""
