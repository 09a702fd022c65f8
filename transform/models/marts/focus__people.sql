with participants as (

    select * from {{ ref('focus__participants') }}

),

-- Once for each recording, also if a person takes part in it with two addresses.
people_in_recordings as (

    select
        person_key,
        interaction_id,
        max(person_id) as person_id,
        max(full_name) as full_name,
        min(display_name) as display_name,
        {{ dbt.bool_or('is_internal') }} as is_internal,
        {{ dbt.bool_or('is_originator') }} as is_originator,
        {{ dbt.bool_or('is_recording_subject') }} as is_recording_subject,
        max(started_at) as started_at,
        max(duration_seconds) as duration_seconds
    from participants
    group by person_key, interaction_id

),

addresses as (

    select
        person_key,
        count(distinct coalesce(address_type, '') || ':' || lower(address)) as addresses_count
    from participants
    group by person_key

)

select
    people.person_key,
    max(people.person_id) as person_id,
    max(people.full_name) as full_name,
    min(people.display_name) as display_name,
    {{ dbt.bool_or('people.is_internal') }} as is_internal,
    max(addresses.addresses_count) as addresses_count,
    count(*) as recordings_count,
    count(case when people.is_recording_subject then 1 end) as recorded_count,
    count(case when people.is_originator then 1 end) as originated_count,
    coalesce(sum(people.duration_seconds), 0) as duration_seconds,
    min(people.started_at) as first_seen_at,
    max(people.started_at) as last_seen_at
from people_in_recordings as people
inner join addresses on people.person_key = addresses.person_key
group by people.person_key
