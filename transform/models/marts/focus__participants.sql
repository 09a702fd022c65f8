with participants as (

    select
        *,
        coalesce(
            {%- if personal_rule('address') in ('keep', 'hash') %}
            coalesce(address_type, '') || ':' || lower(address),
            {%- endif %}
            'endpoint:' || endpoint_id,
            'participant:' || participant_id
        ) as address_key
    from {{ ref('stg_focus__participants') }}

),

recordings as (

    select * from {{ ref('stg_focus__recordings') }}

),

-- An address without a person belongs to the person it has in other recordings, if there is only one.
owners as (

    select
        address_key,
        max(person_id) as person_id
    from participants
    group by address_key
    having count(distinct person_id) = 1

),

identified as (

    select
        participants.*,
        coalesce(participants.person_id, owners.person_id) as owner_id,
        coalesce(
            'person-' || coalesce(participants.person_id, owners.person_id),
            'address-' || {{ dbt.hash('participants.address_key') }}
        ) as person_key,
        (
            participants.is_recording_subject
            or participants.has_user
            or participants.has_internal_domain
        ) as is_evidently_internal
    from participants
    left join owners on participants.address_key = owners.address_key

),

-- Colleagues are internal in every recording, also in those that say nothing about them.
people as (

    select
        person_key,
        {{ dbt.bool_or('is_evidently_internal') }} as is_internal
    from identified
    group by person_key

),

names as (

    select
        person_key,
        full_name,
        row_number() over (partition by person_key order by last_named_at desc nulls last, full_name) as rank
    from (
        select
            identified.person_key,
            identified.full_name,
            max(recordings.started_at) as last_named_at
        from identified
        inner join recordings on identified.interaction_id = recordings.interaction_id
        where identified.full_name is not null
        group by identified.person_key, identified.full_name
    ) as named

)

select
    identified.participant_id,
    identified.interaction_id,
    identified.position,
    identified.person_key,
    identified.owner_id as person_id,
    names.full_name,
    identified.address_type,
    identified.address,
    coalesce(names.full_name, identified.address, 'unknown') as display_name,
    people.is_internal,
    identified.is_originator,
    identified.is_recording_subject,
    recordings.started_at,
    recordings.channel,
    recordings.duration_seconds
from identified
inner join people on identified.person_key = people.person_key
inner join recordings on identified.interaction_id = recordings.interaction_id
left join names on identified.person_key = names.person_key and names.rank = 1
