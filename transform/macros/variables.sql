{#- Return the value of a setting: a dbt variable, else an environment variable, else the default. -#}
{% macro setting(name, default=none) %}
    {{- return(var('focus_' ~ name, env_var('FOCUS_' ~ name | upper, default if default is not none else ''))) -}}
{% endmacro %}


{#- Return the time in UTC as of which the models are built, without a time zone. -#}
{% macro utc_now() %}
    {%- set now = setting('now') -%}
    {%- if now -%} cast('{{ now }}' as {{ type_time() }}) {%- else -%} {{ current_utc_time() }} {%- endif -%}
{% endmacro %}


{#- Return the type of a time without a time zone. -#}
{% macro type_time() %}{{ return(adapter.dispatch('type_time', 'focus')()) }}{% endmacro %}

{% macro default__type_time() %}{{ return('timestamp') }}{% endmacro %}


{% macro current_utc_time() -%}
    {{ return(adapter.dispatch('current_utc_time', 'focus')()) }}
{%- endmacro %}

{% macro default__current_utc_time() -%}
    (current_timestamp at time zone 'UTC')
{%- endmacro %}


{#- Convert a time in UTC to the time zone of the setting `timezone`. -#}
{% macro to_local(column) -%}
    {{ return(adapter.dispatch('to_local', 'focus')(column, setting('timezone', 'UTC'))) }}
{%- endmacro %}

{% macro default__to_local(column, timezone) -%}
    (({{ column }} at time zone 'UTC') at time zone '{{ timezone }}')
{%- endmacro %}


{#- Return the weekday, from 1 (Monday) to 7. -#}
{% macro weekday(column) -%}
    {{ return(adapter.dispatch('weekday', 'focus')(column)) }}
{%- endmacro %}

{% macro default__weekday(column) -%}
    cast(extract(isodow from {{ column }}) as integer)
{%- endmacro %}


{#- Return the time that is a number of days after another. -#}
{% macro days_after(column, days) -%}
    {{ return(adapter.dispatch('days_after', 'focus')(column, days)) }}
{%- endmacro %}

{% macro default__days_after(column, days) -%}
    ({{ column }} + {{ days }} * interval '1 day')
{%- endmacro %}


{#- Return the number of days until an audio file is due for deletion from which it counts as due. -#}
{% macro due_days() %}{{ return(setting('due_days', 30) | int) }}{% endmacro %}


{#- Return the hours from one time to another, with two decimals. -#}
{% macro hours_between(first, last) -%}
    cast(
        round(cast({{ seconds_between(first, last) }} / 3600.0 as numeric), 2)
        as {{ dbt.type_float() }}
    )
{%- endmacro %}

{% macro seconds_between(first, last) -%}
    {{ return(adapter.dispatch('seconds_between', 'focus')(first, last)) }}
{%- endmacro %}

{% macro default__seconds_between(first, last) -%}
    extract(epoch from ({{ last }} - {{ first }}))
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
