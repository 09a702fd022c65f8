{{ config(materialized='ephemeral') }}

{%- set columns = source_columns('recordings') %}

with source as (

    {{ source_rows('recordings') }}

)

select
    {{ source_column(columns, 'interactionId', 'bigint') }} as interaction_id,
    {{ source_column(columns, 'startDatetimeUTC', 'timestamp') }} as started_at,
    {{ source_column(columns, 'endDatetimeUTC', 'timestamp') }} as ended_at,
    {{ source_column(columns, 'durationInSeconds', 'decimal') }} as duration_seconds,
    {{ source_column(columns, 'type', 'text') }} as channel,
    {{ source_column(columns, 'commentsCount', 'bigint') }} as comments_count,
    {{ source_column(columns, 'transcriptSnippet', 'text') }} as transcript_snippet,
    {{ source_column(columns, 'thirdPartyId', 'text') }} as third_party_id,
    {{ source_column(columns, 'endpoints', 'json') }} as endpoints,
    {{ source_column(columns, 'analysis', 'json') }} as topics,
    {{ source_column(columns, 'retentionGroupId', 'json') }} as retention_group,
    {{ source_column(columns, 'retainUntil', 'timestamp') }} as retain_until,
    {{ source_column(columns, 'legalHolds', 'json') }} as legal_holds,
    {{ source_column(columns, 'tags', 'json') }} as tags,
    {{ source_column(columns, 'isPrivate', 'boolean') }} as is_private,
    {{ source_column(columns, 'isPrivateReason', 'json') }} as private_reason,
    {{ source_column(columns, 'mediaAccessStatus', 'text') }} as media_access_status,
    {{ source_column(columns, 'dataGroups', 'json') }} as data_groups,
    {{ source_column(columns, 'optional', 'json') }} as properties,
    {{ source_column(columns, 'additionalFields', 'json') }} as additional_fields,
    {{ source_column(columns, 'nextCursorId', 'text') }} as next_cursor_id,
    {{ loaded_at(columns) }} as loaded_at,
    {{ source_version(columns) }} as source_version
from source
