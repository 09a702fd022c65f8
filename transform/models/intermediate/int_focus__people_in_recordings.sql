with participants as (

    select * from {{ ref('focus__participants') }}

)

select
    interaction_id,
    person_key,
    max(person_id) as person_id,
    max(full_name) as full_name,
    min(display_name) as display_name,
    {{ dbt.bool_or('is_internal') }} as is_internal,
    {{ dbt.bool_or('is_originator') }} as is_originator,
    {{ dbt.bool_or('is_recording_subject') }} as is_recording_subject,
    max(started_at) as started_at,
    max(duration_seconds) as duration_seconds
from participants
group by interaction_id, person_key
