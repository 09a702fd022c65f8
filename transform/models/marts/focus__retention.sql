with recordings as (

    select * from {{ ref('focus__recordings') }}

),

{% if using_audio() -%}
media as (

    select * from {{ ref('stg_focus__recording_media') }}

),
{%- endif %}

classified as (

    select
        recordings.*,
        {{ is_due('recordings') }} as is_due,
        {% if using_audio() -%}
        coalesce(media.audio_status = 'stored', false) as is_audio_stored,
        media.locked_until as audio_locked_until,
        {{ is_audio_missing('recordings', 'media.audio_status') }} as is_audio_missing
    from recordings
    left join media on recordings.interaction_id = media.interaction_id
        {%- else -%}
        cast(null as boolean) as is_audio_stored,
        cast(null as {{ type_time() }}) as audio_locked_until,
        {{ is_audio_missing('recordings', 'cast(null as ' ~ dbt.type_string() ~ ')') }} as is_audio_missing
    from recordings
        {%- endif %}

)

select
    interaction_id,
    channel,
    activity_date,
    subject_key,
    subject_name,
    retention_group,
    retain_until,
    is_on_legal_hold,
    is_audio_stored,
    audio_locked_until,
    case
        when is_on_legal_hold then 'held'
        when retain_until is null then 'indefinite'
        when is_deleted_by_retention then 'past'
        when is_due then 'due'
        else 'retained'
    end as retention_status,
    -- Only the archive can keep this audio, and it does not have it.
    is_due and is_audio_missing as is_at_risk
from classified
