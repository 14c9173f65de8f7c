"""As in the package of this name."""
