{#- Return whether retention has deleted a recording in Focus: its time is over, and there is no legal
    hold. -#}
{% macro is_deleted_by_retention(retain_until, is_on_legal_hold) -%}
    (coalesce({{ retain_until }} < {{ utc_now() }}, false) and not {{ is_on_legal_hold }})
{%- endmacro %}


{#- Return whether a value of any JSON type means a legal hold. Its structure is not documented, so
    everything but null, false, zero and what is empty counts. -#}
{% macro is_legal_hold(column) -%}
    coalesce({{ json_encode(column) }} not in ('null', 'false', '0', '""', '[]', '{}'), false)
{%- endmacro %}


{#- Return whether the archive should have the audio of a recording and does not: it may download it,
    and there is a duration or a failed download. Messages have no audio. Without the manifest, null. -#}
{% macro is_audio_missing(recordings, audio_status) -%}
    (
        coalesce(
            {{ audio_status }} <> 'not_permitted', {{ recordings }}.media_access_status = 'Permitted', true
        )
        and (coalesce({{ recordings }}.duration_seconds, 0) > 0 or coalesce({{ audio_status }} = 'failed', false))
        and {{ 'coalesce(' ~ audio_status ~ " <> 'stored', true)" if using_audio() else 'cast(null as boolean)' }}
    )
{%- endmacro %}


{#- Return whether the models read the manifest of the audio archive. -#}
{% macro using_audio() %}{{ return(setting('using_audio', 'false') | string | lower == 'true') }}{% endmacro %}


{#- Return whether retention deletes a recording soon: within the days of the setting `due_days`. -#}
{% macro is_due(recordings) -%}
    (
        not {{ recordings }}.is_on_legal_hold
        and not {{ recordings }}.is_deleted_by_retention
        and coalesce({{ recordings }}.retain_until < {{ days_after(utc_now(), due_days()) }}, false)
    )
{%- endmacro %}
