{#-
    The incremental models. Before a build, the rows that the loader has written again or that it no
    longer has are deleted. The model then adds the recordings that are missing. There is no
    watermark, so a transaction that commits late is not missed, and a deletion is not either.
    All conditions are inside `not exists`: with an `or` beside it, PostgreSQL would not join, and
    search the other table for each row.
-#}

{#- Return what determines the rows of this model besides the loaded data: its SQL, the settings and
    the release of the package, which covers the macros and models that it uses. -#}
{% macro model_version() -%}
    {%- set settings = [personal_rules(), setting('hash_salt'), internal_domains()] -%}
    '{{ local_md5(package_version() ~ model.raw_code ~ tojson(settings, sort_keys=true)) }}'
{%- endmacro %}


{#- The version in dbt_project.yml, which macros cannot read. A test compares them. -#}
{% macro package_version() %}{{ return('0.1.0') }}{% endmacro %}


{#- Return which columns a table has: a column that was dropped must disappear from the models. -#}
{% macro source_version(columns) -%}
    '{{ local_md5(tojson(columns, sort_keys=true)) }}'
{%- endmacro %}


{% macro delete_outdated_recordings() -%}
    {%- if target.type == 'postgres' and is_incremental() -%}
        {%- set columns = source_columns('recordings') -%}
        delete from {{ this }} as built
        where not exists (
            select 1 from {{ source('focus', 'recordings') }} as loaded
            where
                loaded.{{ adapter.quote('interactionId') }} = built.interaction_id
                {%- if '_sdc_batched_at' in columns %}
                and loaded._sdc_batched_at = built.loaded_at
                {%- else %}
                and false
                {%- endif %}
                and built.model_version = {{ model_version() }}
                and built.source_version = {{ source_version(columns) }}
                and built.is_deleted_by_retention
                = {{ is_deleted_by_retention('built.retain_until', 'built.is_on_legal_hold') }}
        )
    {%- endif -%}
{%- endmacro %}


{% macro delete_outdated_participants() -%}
    {%- if target.type == 'postgres' and is_incremental() -%}
        delete from {{ this }} as built
        where not exists (
            select 1 from {{ ref('stg_focus__recordings') }} as recordings
            where
                recordings.interaction_id = built.interaction_id
                and recordings.loaded_at = built.loaded_at
                and recordings.source_version = built.source_version
                and built.model_version = {{ model_version() }}
        )
    {%- endif -%}
{%- endmacro %}
