"""Helpers for all parts of the library, which users need not know: numerics, validation, files, identities."""
