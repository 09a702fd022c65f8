{#- BigQuery. These compile, and a parser of BigQuery's SQL accepts the models. They were not run. -#}

{% macro bigquery__type_time() %}{{ return('datetime') }}{% endmacro %}

{% macro bigquery__loaded_json(column, is_text) -%}
    {%- set value = ('parse_json(' ~ column ~ ')') if is_text else ('to_json(' ~ column ~ ')') -%}
    if(json_type({{ value }}) = 'null', null, {{ value }})
{%- endmacro %}

{% macro bigquery__json_text(column, path) -%}
    json_value({{ column }}, '$.{{ path | join('.') }}')
{%- endmacro %}

{% macro bigquery__json_member(column, name) -%}
    json_query({{ column }}, '$.{{ name }}')
{%- endmacro %}

{% macro bigquery__json_is(column, type) -%}
    coalesce(json_type({{ column }}) = '{{ type }}', false)
{%- endmacro %}

{% macro bigquery__json_scalar(column) -%}
    coalesce(json_value({{ column }}), to_json_string({{ column }}))
{%- endmacro %}

{% macro bigquery__json_encode(column) -%}
    to_json_string({{ column }})
{%- endmacro %}

{% macro bigquery__cross_join_elements(column) -%}
    cross join unnest(array(
        select as struct
            element,
            place + 1 as position
        from unnest(json_query_array({{ column }})) as element with offset as place
    )) as elements
{%- endmacro %}

{% macro bigquery__cross_join_keys(column) -%}
    cross join unnest(array(
        select as struct key
        from unnest(json_keys({{ column }}, 1)) as key
    )) as keys
{%- endmacro %}

{% macro bigquery__sha256(expression) -%}
    to_hex(sha256({{ expression }}))
{%- endmacro %}

{% macro bigquery__current_utc_time() -%}
    current_datetime('UTC')
{%- endmacro %}

{% macro bigquery__to_local(column, timezone) -%}
    datetime(timestamp({{ column }}, 'UTC'), '{{ timezone }}')
{%- endmacro %}

{% macro bigquery__weekday(column) -%}
    (mod(extract(dayofweek from {{ column }}) + 5, 7) + 1)
{%- endmacro %}

{% macro bigquery__days_after(column, days) -%}
    datetime_add({{ column }}, interval {{ days }} day)
{%- endmacro %}

{% macro bigquery__seconds_between(first, last) -%}
    datetime_diff({{ last }}, {{ first }}, second)
{%- endmacro %}

{% macro bigquery__days_between(first, last, relation) -%}
    select activity_date
    from unnest((
        select generate_date_array({{ first }}, {{ last }}) from {{ relation }}
    )) as activity_date
{%- endmacro %}
