with recordings as (

    select
        *,
        {{ to_local('started_at') }} as started_at_local
    from {{ ref('stg_focus__recordings') }}

),

participants as (

    select * from {{ ref('focus__participants') }}

),

by_recording as (

    select
        interaction_id,
        count(*) as participants_count,
        count(distinct person_key) as people_count,
        count(distinct case when not is_internal then person_key end) as external_people_count,
        {{ dbt.bool_or('is_originator and is_internal') }} as has_internal_originator,
        {{ dbt.bool_or('is_originator and not is_internal') }} as has_external_originator,
        min(case when is_originator then position end) as originator_position,
        min(case when is_recording_subject then position end) as subject_position,
        {{ dbt.listagg('case when not is_recording_subject then display_name end', "', '", 'order by position') }}
            as counterparties
    from participants
    group by interaction_id

)

select
    recordings.interaction_id,
    recordings.channel,
    recordings.started_at,
    recordings.ended_at,
    recordings.started_at_local,
    cast(recordings.started_at_local as date) as activity_date,
    {{ weekday('recordings.started_at_local') }} as weekday,
    cast(extract(hour from recordings.started_at_local) as {{ dbt.type_int() }}) as hour_of_day,
    recordings.duration_seconds,
    originators.person_key as originator_key,
    originators.display_name as originator_name,
    subjects.person_key as subject_key,
    subjects.display_name as subject_name,
    by_recording.counterparties,
    coalesce(by_recording.participants_count, 0) as participants_count,
    coalesce(by_recording.people_count, 0) as people_count,
    coalesce(by_recording.external_people_count, 0) as external_people_count,
    coalesce(by_recording.external_people_count, 0) > 0 as is_external,
    case
        when by_recording.has_external_originator then 'inbound'
        when by_recording.external_people_count > 0 and by_recording.has_internal_originator then 'outbound'
        -- With one address, nothing says who the others were.
        when by_recording.external_people_count = 0 and by_recording.participants_count > 1 then 'internal'
        else 'unknown'
    end as direction,
    recordings.transcript_snippet,
    recordings.third_party_id,
    recordings.comments_count,
    recordings.is_private,
    recordings.private_reason,
    recordings.media_access_status,
    recordings.retention_group,
    recordings.retain_until,
    recordings.legal_holds,
    recordings.is_on_legal_hold,
    recordings.is_deleted_by_retention,
    recordings.data_groups,
    recordings.properties,
    recordings.additional_fields,
    recordings.loaded_at
from recordings
left join by_recording on recordings.interaction_id = by_recording.interaction_id
left join participants as originators
    on
        by_recording.interaction_id = originators.interaction_id
        and by_recording.originator_position = originators.position
left join participants as subjects
    on
        by_recording.interaction_id = subjects.interaction_id
        and by_recording.subject_position = subjects.position
