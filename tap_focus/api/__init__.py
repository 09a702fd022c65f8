"""Client of the Focus HTTP API. It knows nothing of Singer or Meltano."""
