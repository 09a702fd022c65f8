"""The private names of the SDK that the tap stands on: all of them, each with its reason.

A release of the SDK may change one without notice. A test holds each, and that there is no other,
so that such a release fails there and not in a warehouse.
"""

from __future__ import annotations

from singer_sdk import Stream, Tap

# Reads settings from the environment by a schema of the tap's own making; see TapFocus.
from singer_sdk.configuration._dict_config import parse_environment_config

# Tells whether a batch_config is whole, before the first request.
from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig

# What the SDK's callback for --config returns, which the tap has its own of.
from singer_sdk.plugin_base import _ConfigInput as ConfigInput

# Keeps a stream's state; the SDK lends no other seam to a cursor that cannot be compared.
from singer_sdk.streams._state import StreamStateManager

__all__ = [
    "RELIED_ON",
    "BaseBatchFileEncoding",
    "BatchConfig",
    "ConfigInput",
    "StreamStateManager",
    "parse_environment_config",
]

RELIED_ON: dict[type, dict[str, str]] = {
    Stream: {
        "_generate_record_messages": "Selection and stream maps, one record at a time.",
        "_state_manager": "Where the SDK keeps the keeper of a stream's state.",
        "_stream_version": "Stands in each RECORD message when it is set.",
        "_sync_records": "The records as they would be written, for a batch's files.",
        "_tap": "Leads from a stream to the one conversation with Focus, and to the writer.",
    },
    Tap: {
        "_config": "The settings, to be made numbers before they are checked.",
        "_env_var_config": "The SDK's fails on a number that is none, and names no setting.",
        "_env_var_prefix": "How the environment's variables begin.",
        "_handle_termination": "The SDK's ends with exit code 0, and with another STATE.",
        "_validate_config": "The SDK's errors are jsonschema's own, which hold values.",
    },
}
"""Attributes and methods, each with what it is needed for or why it is replaced."""
