with recordings as (

    select * from {{ ref('stg_focus__recordings') }}

),

tags as (

    select distinct
        recordings.interaction_id,
        {{ json_scalar('elements.element') }} as tag
    from recordings
    {{ cross_join_elements('recordings.tags') }}
    where {{ json_scalar('elements.element') }} is not null

)

select
    {{ dbt.hash(dbt.concat(['cast(interaction_id as ' ~ dbt.type_string() ~ ')', "'-'", 'tag'])) }} as recording_tag_id,
    interaction_id,
    tag,
    case when tag like '%.%' then {{ dbt.split_part('tag', "'.'", 1) }} end as tag_group,
    {{ last_part('tag') }} as tag_name
from tags
