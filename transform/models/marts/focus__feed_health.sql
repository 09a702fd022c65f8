with recordings as (

    select * from {{ ref('stg_focus__recordings') }}

),

unknown_fields as (

    select
        keys.key as field,
        count(*) as recordings_count
    from recordings
    {{ cross_join_keys('recordings.additional_fields') }}
    group by keys.key

),

summary as (

    select
        count(*) as recordings_count,
        min(started_at) as first_started_at,
        max(started_at) as last_started_at,
        max(ended_at) as last_ended_at,
        max(loaded_at) as last_loaded_at,
        count(case when additional_fields is not null then 1 end) as recordings_with_unknown_fields_count
    from recordings

),

fields as (

    select
        count(*) as unknown_fields_count,
        {{ dbt.listagg('field', "', '", 'order by field') }} as unknown_fields
    from unknown_fields

)

select
    summary.recordings_count,
    summary.first_started_at,
    summary.last_started_at,
    summary.last_loaded_at,
    {{ hours_between('summary.last_ended_at', 'summary.last_loaded_at') }} as lag_hours,
    {{ hours_between('summary.last_loaded_at', utc_now()) }} as hours_since_last_load,
    summary.recordings_with_unknown_fields_count,
    fields.unknown_fields_count,
    fields.unknown_fields
from summary
cross join fields
