{{ config(enabled=(var('focus_using_audio', env_var('FOCUS_USING_AUDIO', 'false')) | string | lower) == 'true') }}

-- focus__audio_coverage counts the recordings that focus__retention lists.
with days as (

    select coalesce(sum(at_risk_count), 0) as total from {{ ref('focus__audio_coverage') }}

),

recordings as (

    select count(*) as total from {{ ref('focus__retention') }} where is_at_risk

)

select days.total, recordings.total as expected
from days
cross join recordings
where days.total <> recordings.total
