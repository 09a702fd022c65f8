"""The plugin class: settings, streams, and how they are connected."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from singer_sdk import Tap
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import TapCapabilities
from singer_sdk.mapper import RemoveRecordTransform
from singer_sdk.plugin_base import PluginBase
from singer_sdk.singerlib import Catalog, Schema
from typing_extensions import override

from tap_focus import settings_checks
from tap_focus.api.client import Client, Credentials
from tap_focus.archive.downloader import AudioDownloader
from tap_focus.archive.transfer import DownloadLimits
from tap_focus.settings import SCHEMA
from tap_focus.streams.batch import validate_batch_config
from tap_focus.streams.columns import message_schema
from tap_focus.streams.recording_media import RecordingMediaStream
from tap_focus.streams.recordings import RecordingsStream
from tap_focus.streams.selection import unmatched_patterns, unmatched_rules
from tap_focus.streams.state import validate_state
from tap_focus.streams.writer import MessageWriter

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from tap_focus.streams.base import FeedStream

STREAM_NAMES = (RecordingsStream.name, RecordingMediaStream.name)


class TapFocus(Tap):
    """Singer tap for Focus: recorded calls, meetings and messages."""

    name = "tap-focus"
    config_jsonschema: t.ClassVar[dict[str, t.Any]] = SCHEMA
    # A sync is always incremental, so no version of a table is ever complete.
    capabilities: t.ClassVar = [
        name for name in Tap.capabilities if name != TapCapabilities.ACTIVATE_VERSION
    ]
    message_writer: MessageWriter
    new_media_stream: Callable[..., RecordingMediaStream] = RecordingMediaStream

    def __init__(self, *, state: t.Any = None, **kwargs: t.Any) -> None:
        # Created first, since signals may arrive as soon as the SDK has set the handlers.
        self.message_writer = MessageWriter()
        super().__init__(state=validate_state(state), message_writer=self.message_writer, **kwargs)
        for name in self.state.get("bookmarks") or {}:
            stream = t.cast("FeedStream | None", self.streams.get(name))
            if stream and stream.selected:
                stream.check_state()

    @override
    def discover_streams(self) -> list[FeedStream]:
        # All streams share one client, and so one login. Without valid settings, as in discovery,
        # none is used.
        config, writer = self.config, self.message_writer
        client = Client(
            settings_checks.base_url(config),
            Credentials(
                api_key=config.get("api_key", ""),
                username=config.get("username", ""),
                client_id=config.get("client_id", 0),
            ),
            request_timeout=config.get("request_timeout", 1),
            max_retries=config.get("max_retries", 0),
            user_agent=config.get("user_agent") or f"{self.name}/{self.plugin_version}",
        )
        downloader = AudioDownloader(
            client,
            config.get("media_path"),
            lock_mode=config.get("media_lock"),
            concurrency=config.get("media_concurrency", 1),
            limits=DownloadLimits(
                max_bytes=config.get("media_max_bytes", 1),
                max_seconds=config.get("media_max_seconds", 1),
            ),
        )
        account = settings_checks.account(config)
        return [
            RecordingsStream(self, client=client, writer=writer, account=account),
            self.new_media_stream(
                self, client=client, writer=writer, account=account, downloader=downloader
            ),
        ]

    @override
    def setup_mapper(self) -> None:
        # Stream maps of streams that are not selected would be checked against their empty
        # schemas: https://github.com/meltano/sdk/issues/1942
        PluginBase.setup_mapper(self)
        selected = Catalog()
        for entry in self.catalog.streams:
            if entry.metadata.resolve_selection().get((), True):
                schema = message_schema(
                    entry.schema.to_dict(), json_text=self.config.get("json_text", False)
                )
                selected.add_stream(dataclasses.replace(entry, schema=Schema.from_dict(schema)))
        self.mapper.register_raw_streams_from_catalog(selected)
        self._deselect_dropped_streams()
        self._warn_of_unmatched_selection()

    @property
    @override
    def _env_var_config(self) -> dict[str, t.Any]:
        # The SDK would search for .env upwards from its own package, and its errors name no
        # variable.
        schema = self._settings_schema()
        config, errors = settings_checks.from_environment(os.environ, self._env_var_prefix, schema)
        if errors:
            raise ConfigValidationError("Invalid settings", errors=errors)
        return config

    @classmethod
    def _settings_schema(cls) -> dict[str, t.Any]:
        """Return the schema of all settings, the SDK's included."""
        cls.append_builtin_config(cls.config_jsonschema)
        return cls.config_jsonschema

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Normalize and check the settings; the errors contain no secret."""
        schema = self._settings_schema()
        for line in settings_checks.unknown_settings(self._config, schema):
            self.logger.warning("%s", line)
        self._config = settings_checks.normalize(self._config, schema)
        errors = settings_checks.validate(self._config, schema, STREAM_NAMES)
        batch = self._config.get("batch_config")
        is_reported = any(error.startswith("batch_config") for error in errors)
        if batch is not None and not is_reported and (error := validate_batch_config(batch)):
            errors.append(f"batch_config: {error}")
        if errors and raise_errors:
            raise ConfigValidationError("Invalid settings", errors=errors)
        if errors:
            self._config = {}  # discovery works without settings
        if self._config.get("region") and self._config.get("api_url"):
            self.logger.info("api_url takes precedence over region")
        return errors

    def _deselect_dropped_streams(self) -> None:
        """Deselect streams whose records stream maps drop: reading the feed would lose them."""
        # Only the maps of selected streams exist.
        for stream in [stream for stream in self.streams.values() if stream.selected]:
            if all(isinstance(one, RemoveRecordTransform) for one in stream.stream_maps):
                self.logger.warning("Skipping %s: stream_maps drop all of its records", stream.name)
                stream.selected = False

    def _warn_of_unmatched_selection(self) -> None:
        """Log the selection rules that match nothing: a typo would leave a field selected."""
        schemas = {name: stream.effective_schema for name, stream in self.streams.items()}
        unmatched = unmatched_patterns(schemas)
        if self.input_catalog:
            for name, stream in self.streams.items():
                unmatched += unmatched_rules(name, stream.effective_schema, stream.metadata)
        for rule in unmatched:
            shown = ascii(rule)
            self.logger.warning("The selection %.200s matches no stream and no property", shown)

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        # The SDK would exit with 0, and write a STATE in the middle of a page.
        self.message_writer.stop(signum)
