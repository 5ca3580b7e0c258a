"""What the chapters of the book compute and claim: a module for each, and what judges and shows claims."""
