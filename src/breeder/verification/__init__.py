"""Runs a champion again under rules that selection did not see; certificates and their registry."""
