{#- Return the value of a setting: a dbt variable, else an environment variable, else the default. -#}
{% macro setting(name, default=none) %}
    {{- return(var('focus_' ~ name, env_var('FOCUS_' ~ name | upper, default if default is not none else ''))) -}}
{% endmacro %}


{#- Return the time in UTC as of which the models are built, without a time zone. -#}
{% macro utc_now() %}
    {%- set now = setting('now') -%}
    {%- if now -%} cast('{{ now }}' as timestamp) {%- else -%} (current_timestamp at time zone 'UTC') {%- endif -%}
{% endmacro %}


{#- Convert a time in UTC to the time zone of the setting `timezone`. -#}
{% macro to_local(column) -%}
    (({{ column }} at time zone 'UTC') at time zone '{{ setting('timezone', 'UTC') }}')
{%- endmacro %}


{#- Return the time that is a number of days after another. -#}
{% macro days_after(column, days) -%}
    ({{ column }} + {{ days }} * interval '1 day')
{%- endmacro %}


{#- Return the number of days until an audio file is due for deletion from which it counts as due. -#}
{% macro due_days() %}{{ return(setting('due_days', 30) | int) }}{% endmacro %}


{#- Return the hours from one time to another, with two decimals. -#}
{% macro hours_between(first, last) -%}
    cast(
        round(cast(extract(epoch from ({{ last }} - {{ first }})) / 3600 as numeric), 2)
        as {{ dbt.type_float() }}
    )
{%- endmacro %}


{#- Select every day from the first to the last: column `activity_date`. -#}
{% macro days_between(first, last, relation) -%}
    {{ return(adapter.dispatch('days_between', 'focus')(first, last, relation)) }}
{%- endmacro %}

{% macro postgres__days_between(first, last, relation) -%}
    select cast(days.day as date) as activity_date
    from (select {{ first }} as first_day, {{ last }} as last_day from {{ relation }}) as range
    cross join lateral generate_series(
        cast(range.first_day as timestamp), cast(range.last_day as timestamp), interval '1 day'
    ) as days (day)
{%- endmacro %}

{% macro duckdb__days_between(first, last, relation) -%}
    select cast(unnest(generate_series({{ first }}, {{ last }}, interval '1 day')) as date) as activity_date
    from {{ relation }}
{%- endmacro %}
