"""Where the audio is stored: folders and object storage."""
