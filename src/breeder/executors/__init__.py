"""Where evaluations run: the contract and local evaluator processes."""
