"""Tree edits: one module per kind; each makes a small change to a parsed program, or declines."""
