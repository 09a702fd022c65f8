"""Client of the Focus HTTP API. Knows nothing of Singer or Meltano.

`Client` is the entry point: `iter_pages` reads the feed, `open_audio` downloads a file.
"""
