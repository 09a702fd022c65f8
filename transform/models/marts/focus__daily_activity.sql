with recordings as (

    select * from {{ ref('focus__recordings') }}

),

participants as (

    select * from {{ ref('int_focus__people_in_recordings') }}

),

people as (

    select * from {{ ref('focus__people') }}

),

activity as (

    select
        recordings.activity_date,
        recordings.channel,
        participants.person_key,
        count(*) as recordings_count,
        count(case when participants.is_recording_subject then 1 end) as recorded_count,
        count(case when participants.is_originator then 1 end) as originated_count,
        count(case when recordings.is_external then 1 end) as external_count,
        coalesce(sum(recordings.duration_seconds), 0) as duration_seconds,
        coalesce(sum(case when recordings.is_external then recordings.duration_seconds end), 0)
            as external_duration_seconds
    from participants
    inner join recordings on participants.interaction_id = recordings.interaction_id
    where recordings.activity_date is not null
    group by recordings.activity_date, recordings.channel, participants.person_key

)

select
    {{ dbt.hash(dbt.concat([
        'cast(activity.activity_date as ' ~ dbt.type_string() ~ ')', "'|'", 'activity.channel', "'|'", 'activity.person_key'
    ])) }} as daily_activity_id,
    activity.activity_date,
    activity.channel,
    activity.person_key,
    people.display_name,
    people.is_internal,
    activity.recordings_count,
    activity.recorded_count,
    activity.originated_count,
    activity.external_count,
    activity.duration_seconds,
    activity.external_duration_seconds
from activity
inner join people on activity.person_key = people.person_key
