{{ config(enabled=(var('focus_using_audio', env_var('FOCUS_USING_AUDIO', 'false')) | string | lower) == 'true',
    materialized='ephemeral') }}

{%- set columns = source_columns('recording_media') %}

with source as (

    {{ source_rows('recording_media') }}

)

select
    {{ source_column(columns, 'interactionId', 'bigint') }} as interaction_id,
    {{ source_column(columns, 'thirdPartyId', 'text') }} as third_party_id,
    {{ source_column(columns, 'startDatetimeUTC', 'timestamp') }} as started_at,
    {{ source_column(columns, 'type', 'text') }} as channel,
    {{ source_column(columns, 'status', 'text') }} as audio_status,
    {{ source_column(columns, 'uri', 'text') }} as uri,
    {{ source_column(columns, 'contentType', 'text') }} as content_type,
    {{ source_column(columns, 'sizeInBytes', 'bigint') }} as size_bytes,
    {{ source_column(columns, 'sha256', 'text') }} as sha256,
    {{ source_column(columns, 'fetchedAt', 'timestamp') }} as fetched_at,
    {{ source_column(columns, 'error', 'text') }} as error,
    {{ source_column(columns, 'retainUntil', 'timestamp') }} as retain_until,
    {{ source_column(columns, 'legalHolds', 'json') }} as legal_holds,
    {{ source_column(columns, 'lockedUntil', 'timestamp') }} as locked_until,
    {{ source_column(columns, 'lockError', 'text') }} as lock_error,
    {{ source_column(columns, 'previousFiles', 'json') }} as previous_files,
    {{ loaded_at(columns) }} as loaded_at
from source
