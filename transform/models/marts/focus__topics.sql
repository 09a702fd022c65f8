with recordings as (

    select * from {{ ref('stg_focus__recordings') }}

),

topics as (

    select distinct
        recordings.interaction_id,
        {{ json_scalar('elements.element') }} as topic
    from recordings
    {{ cross_join_elements('recordings.topics') }}
    where {{ json_scalar('elements.element') }} is not null

)

select
    {{ dbt.hash(dbt.concat(['cast(interaction_id as ' ~ dbt.type_string() ~ ')', "'-'", 'topic'])) }} as recording_topic_id,
    interaction_id,
    topic
from topics
