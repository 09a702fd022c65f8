"""The command `tap-focus-media verify`: check an archive against its manifest."""
