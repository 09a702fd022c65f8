"""Private names of the SDK that the tap imports. A release of the SDK may change any of them.

Private methods that the tap overrides are marked with `@override`, which mypy checks.
"""

from __future__ import annotations

import typing as t

# Parses `batch_config`, so that the tap can check it before the first request.
from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig

# Return type of the callback for --config.
from singer_sdk.plugin_base import _ConfigInput as ConfigInput

# Stores a stream's state. The SDK has no public hook for a cursor that cannot be compared.
from singer_sdk.streams._state import StreamStateManager

if t.TYPE_CHECKING:
    from types import TracebackType

__all__ = [
    "BaseBatchFileEncoding",
    "BatchConfig",
    "ConfigInput",
    "StreamStateManager",
    "mapped_property",
]


def mapped_property(traceback: TracebackType | None) -> str:
    """Return the key in a stream map whose expression failed, from the traceback of the error.

    The SDK's errors contain the expression, in which there may be a salt, and no property.
    """
    found = None
    while traceback:
        variables = traceback.tb_frame.f_locals
        found = variables.get("property_name") or variables.get("prop_key") or found
        traceback = traceback.tb_next
    return found if isinstance(found, str) else "__filter__"  # which has no property
