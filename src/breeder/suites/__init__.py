"""The task folders that ship with breeder; data, not modules to import."""
