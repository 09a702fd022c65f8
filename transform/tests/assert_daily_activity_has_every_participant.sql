-- A person counts once in each recording, so the totals of both models are equal.
with daily as (

    select coalesce(sum(recordings_count), 0) as total from {{ ref('focus__daily_activity') }}

),

people as (

    select count(*) as total
    from (
        select distinct person_key, interaction_id
        from {{ ref('focus__participants') }}
        where started_at is not null
    ) as people_in_recordings

)

select daily.total, people.total as expected
from daily
cross join people
where daily.total <> people.total
