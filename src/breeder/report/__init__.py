"""What a person sees of a run afterwards: HTML page, PNGs, diffs, export; from the store alone."""
