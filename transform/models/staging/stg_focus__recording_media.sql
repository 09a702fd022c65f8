{{ config(enabled=(var('focus_using_audio', env_var('FOCUS_USING_AUDIO', 'false')) | string | lower) == 'true') }}

with media as (

    select * from {{ ref('base_focus__recording_media') }}

)

select
    interaction_id,
    {{ personal('third_party_id', 'third_party_id') }} as third_party_id,
    started_at,
    coalesce(nullif(channel, ''), 'unknown') as channel,
    audio_status,
    uri,
    content_type,
    size_bytes,
    sha256,
    fetched_at,
    error,
    retain_until,
    {{ is_legal_hold('legal_holds') }} as is_on_legal_hold,
    locked_until,
    lock_error,
    previous_files,
    loaded_at
from media
