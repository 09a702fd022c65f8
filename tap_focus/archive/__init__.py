"""Audio archive: download, store and verify audio files."""
