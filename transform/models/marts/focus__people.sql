with people as (

    select * from {{ ref('int_focus__people_in_recordings') }}

),

addresses as (

    select
        person_key,
        count(address) as addresses_count
    from (
        select distinct
            person_key,
            coalesce(address_type, '') || ':' || lower(address) as address
        from {{ ref('focus__participants') }}
    ) as distinct_addresses
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
from people
inner join addresses on people.person_key = addresses.person_key
group by people.person_key
