{{
    config(
        materialized='incremental' if target.type == 'postgres' else 'table',
        incremental_strategy='append',
        on_schema_change='sync_all_columns',
        pre_hook='{{ delete_outdated_recordings() }}',
    )
}}

with recordings as (

    select * from {{ ref('base_focus__recordings') }}

),

with_legal_holds as (

    select
        *,
        {{ is_legal_hold('legal_holds') }} as is_on_legal_hold
    from recordings

)

select
    interaction_id,
    started_at,
    ended_at,
    duration_seconds,
    coalesce(nullif(channel, ''), 'unknown') as channel,
    coalesce(comments_count, 0) as comments_count,
    {{ personal('transcript_snippet', 'transcript_snippet') }} as transcript_snippet,
    {{ personal('third_party_id', 'third_party_id') }} as third_party_id,
    {{ personal_json('topics', 'topics') }} as topics,
    {{ personal_json('tags', 'tags') }} as tags,
    {{ json_scalar('retention_group') }} as retention_group,
    retain_until,
    {{ personal_json('legal_holds', 'legal_holds') }} as legal_holds,
    is_on_legal_hold,
    {{ is_deleted_by_retention('retain_until', 'is_on_legal_hold') }} as is_deleted_by_retention,
    coalesce(is_private, false) as is_private,
    {{ personal('private_reason', json_scalar('private_reason')) }} as private_reason,
    media_access_status,
    data_groups,
    {{ personal_json('properties', 'properties') }} as properties,
    {{ personal_json('additional_fields', 'additional_fields') }} as additional_fields,
    next_cursor_id,
    loaded_at,
    source_version,
    {{ model_version() }} as model_version
from with_legal_holds
{% if target.type == 'postgres' and is_incremental() %}
where not exists (
    select 1 from {{ this }} as built
    where built.interaction_id = with_legal_holds.interaction_id
)
{% endif %}
