"""The command `focus-run`. It runs Meltano and imports nothing else of the package."""
