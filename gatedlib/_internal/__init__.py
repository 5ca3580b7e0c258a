"""What every part of the library may use and no user sees: numerics, validation, files, identities."""
