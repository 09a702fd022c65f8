{{
    config(
        materialized='incremental' if target.type == 'postgres' else 'table',
        incremental_strategy='append',
        on_schema_change='sync_all_columns',
        pre_hook='{{ delete_outdated_participants() }}',
    )
}}

with recordings as (

    select base.*
    from {{ ref('base_focus__recordings') }} as base
    inner join {{ ref('stg_focus__recordings') }} as recordings
        on base.interaction_id = recordings.interaction_id
    {%- if target.type == 'postgres' and is_incremental() %}
    where not exists (
        select 1 from {{ this }} as built
        where built.interaction_id = base.interaction_id
    )
    {%- endif %}

),

endpoints as (

    select
        recordings.interaction_id,
        elements.position,
        {{ json_text('elements.element', ['person', 'id']) }} as person_id,
        nullif({{ json_text('elements.element', ['person', 'fullName']) }}, '') as full_name,
        {{ json_text('elements.element', ['endpoint', 'id']) }} as endpoint_id,
        {{ json_text('elements.element', ['endpoint', 'type']) }} as address_type,
        nullif({{ json_text('elements.element', ['endpoint', 'endpoint']) }}, '') as address,
        {{ json_member('elements.element', 'user') }} as user_details,
        coalesce({{ json_text('elements.element', ['isOriginator']) }} = 'true', false)
            as is_originator,
        coalesce({{ json_text('elements.element', ['isRecordingSubject']) }} = 'true', false)
            as is_recording_subject,
        recordings.loaded_at,
        recordings.source_version
    from recordings
    {{ cross_join_elements('recordings.endpoints') }}
    where {{ json_is('elements.element', 'object') }}

)

select
    {{ dbt.concat(['cast(interaction_id as ' ~ dbt.type_string() ~ ')', "'-'", 'cast(position as ' ~ dbt.type_string() ~ ')']) }} as participant_id,
    interaction_id,
    cast(position as {{ dbt.type_int() }}) as position,
    person_id,
    {{ personal('full_name', 'full_name') }} as full_name,
    endpoint_id,
    address_type,
    {#- Equal addresses stay equal, whatever their case. #}
    {{ personal('address', 'lower(address)' if personal_rule('address') == 'hash' else 'address') }}
        as address,
    {{ has_internal_domain('address') }} as has_internal_domain,
    {{ personal_json('user_details', 'user_details') }} as user_details,
    {{ json_is('user_details', 'object') }} as has_user,
    is_originator,
    is_recording_subject,
    loaded_at,
    source_version,
    {{ model_version() }} as model_version
from endpoints
