{%- set max_people = setting('pairs_max_people', 50) | int -%}

with recordings as (

    select * from {{ ref('focus__recordings') }}
    where people_count between 2 and {{ max_people }}

),

participants as (

    select * from {{ ref('int_focus__people_in_recordings') }}

),

people as (

    select * from {{ ref('focus__people') }}

),

pairs as (

    select
        firsts.person_key as person_key_1,
        seconds.person_key as person_key_2,
        count(*) as recordings_count,
        coalesce(sum(recordings.duration_seconds), 0) as duration_seconds,
        min(recordings.started_at) as first_recorded_at,
        max(recordings.started_at) as last_recorded_at
    from recordings
    inner join participants as firsts on recordings.interaction_id = firsts.interaction_id
    inner join participants as seconds
        on
            recordings.interaction_id = seconds.interaction_id
            and firsts.person_key < seconds.person_key
    group by firsts.person_key, seconds.person_key

)

select
    {{ dbt.concat(['pairs.person_key_1', "'|'", 'pairs.person_key_2']) }} as pair_id,
    pairs.person_key_1,
    people_1.display_name as display_name_1,
    pairs.person_key_2,
    people_2.display_name as display_name_2,
    not (people_1.is_internal and people_2.is_internal) as is_external,
    pairs.recordings_count,
    pairs.duration_seconds,
    pairs.first_recorded_at,
    pairs.last_recorded_at
from pairs
inner join people as people_1 on pairs.person_key_1 = people_1.person_key
inner join people as people_2 on pairs.person_key_2 = people_2.person_key
