"""What is kept: the archive's contract, islands of grid cells, and the SQLite store."""
