"""Singer tap for Focus: every recorded call, meeting and message, in any warehouse."""
