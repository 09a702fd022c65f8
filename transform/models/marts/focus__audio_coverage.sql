{{ config(enabled=(var('focus_using_audio', env_var('FOCUS_USING_AUDIO', 'false')) | string | lower) == 'true') }}

with recordings as (

    select * from {{ ref('focus__recordings') }}

),

media as (

    select * from {{ ref('stg_focus__recording_media') }}

),

days as (

    {{ days_between('min(activity_date)', 'max(activity_date)', 'recordings') }}

),

classified as (

    select
        recordings.activity_date,
        media.audio_status,
        media.interaction_id is null as is_not_tried,
        recordings.is_deleted_by_retention,
        {{ is_audio_missing('recordings', 'media.audio_status') }} as is_missing,
        {{ is_due('recordings') }} as is_due
    from recordings
    left join media on recordings.interaction_id = media.interaction_id

),

counted as (

    select
        activity_date,
        count(*) as recordings_count,
        count(case when audio_status = 'stored' then 1 end) as stored_count,
        count(case when audio_status = 'not_permitted' then 1 end) as not_permitted_count,
        count(case when audio_status = 'not_found' then 1 end) as not_found_count,
        count(case when audio_status = 'failed' then 1 end) as failed_count,
        count(case when is_not_tried then 1 end) as not_tried_count,
        count(case when is_missing then 1 end) as missing_count,
        count(case when is_missing and is_deleted_by_retention then 1 end)
            as lost_to_retention_count,
        count(case when is_due then 1 end) as due_count,
        count(case when is_due and is_missing then 1 end) as at_risk_count,
        count(case when is_deleted_by_retention and audio_status = 'stored' then 1 end)
            as overdue_count
    from classified
    group by activity_date

)

select
    -- Null in the row of recordings without a start, which belong to no day.
    days.activity_date,
    coalesce(counted.recordings_count, 0) as recordings_count,
    coalesce(counted.stored_count, 0) as stored_count,
    coalesce(counted.not_permitted_count, 0) as not_permitted_count,
    coalesce(counted.not_found_count, 0) as not_found_count,
    coalesce(counted.failed_count, 0) as failed_count,
    coalesce(counted.not_tried_count, 0) as not_tried_count,
    coalesce(counted.missing_count, 0) as missing_count,
    coalesce(counted.lost_to_retention_count, 0) as lost_to_retention_count,
    coalesce(counted.due_count, 0) as due_count,
    coalesce(counted.at_risk_count, 0) as at_risk_count,
    coalesce(counted.overdue_count, 0) as overdue_count,
    case
        when counted.recordings_count is null then 'no recordings'
        when counted.lost_to_retention_count > 0 then 'lost'
        when counted.at_risk_count > 0 then 'at risk'
        when counted.missing_count + counted.failed_count + counted.not_tried_count > 0 then 'incomplete'
        when counted.overdue_count > 0 then 'overdue'
        else 'complete'
    end as verdict
from days
full outer join counted on days.activity_date = counted.activity_date
