"""Singer streams: records, state and output."""
