{{ config(enabled=(var('focus_using_audio', env_var('FOCUS_USING_AUDIO', 'false')) | string | lower) == 'true') }}

-- Every recording has exactly one status.
select *
from {{ ref('focus__audio_coverage') }}
where
    recordings_count
    <> stored_count + not_permitted_count + not_found_count + failed_count + not_tried_count
