"""Pictures and their features."""
