{#- Snowflake. These compile, and a parser of Snowflake's SQL accepts the models. They were not run. -#}

{% macro snowflake__type_json() %}{{ return('variant') }}{% endmacro %}

{% macro snowflake__type_time() %}{{ return('timestamp_ntz') }}{% endmacro %}

{% macro snowflake__loaded_json(column, is_text) -%}
    {%- set value = ('parse_json(' ~ column ~ ')') if is_text else ('to_variant(' ~ column ~ ')') -%}
    iff(is_null_value({{ value }}), null, {{ value }})
{%- endmacro %}

{% macro snowflake__json_text(column, path) -%}
    cast(get_path({{ column }}, '{{ path | join('.') }}') as varchar)
{%- endmacro %}

{% macro snowflake__json_member(column, name) -%}
    get_path({{ column }}, '{{ name }}')
{%- endmacro %}

{% macro snowflake__json_is(column, type) -%}
    coalesce(typeof({{ column }}) = '{{ type | upper }}', false)
{%- endmacro %}

{% macro snowflake__json_scalar(column) -%}
    cast({{ column }} as varchar)
{%- endmacro %}

{% macro snowflake__json_encode(column) -%}
    to_json({{ column }})
{%- endmacro %}

{% macro snowflake__cross_join_elements(column) -%}
    cross join lateral (
        select
            flattened.value as element,
            flattened.index + 1 as position
        from table(flatten(input => iff(is_array({{ column }}), {{ column }}, null))) as flattened
    ) as elements
{%- endmacro %}

{% macro snowflake__cross_join_keys(column) -%}
    cross join lateral (
        select flattened.key as key
        from table(flatten(input => iff(is_object({{ column }}), {{ column }}, null))) as flattened
    ) as keys
{%- endmacro %}

{% macro snowflake__sha256(expression) -%}
    sha2({{ expression }}, 256)
{%- endmacro %}

{% macro snowflake__current_utc_time() -%}
    cast(convert_timezone('UTC', current_timestamp()) as timestamp_ntz)
{%- endmacro %}

{% macro snowflake__to_local(column, timezone) -%}
    convert_timezone('UTC', '{{ timezone }}', {{ column }})
{%- endmacro %}

{% macro snowflake__weekday(column) -%}
    dayofweekiso({{ column }})
{%- endmacro %}

{% macro snowflake__days_after(column, days) -%}
    dateadd(day, {{ days }}, {{ column }})
{%- endmacro %}

{% macro snowflake__seconds_between(first, last) -%}
    datediff(second, {{ first }}, {{ last }})
{%- endmacro %}

{% macro snowflake__days_between(first, last, relation) -%}
    select dateadd(day, numbers.value, bounds.first_day) as activity_date
    from (select {{ first }} as first_day, {{ last }} as last_day from {{ relation }}) as bounds
    cross join lateral flatten(
        input => array_generate_range(0, datediff(day, bounds.first_day, bounds.last_day) + 1)
    ) as numbers
{%- endmacro %}
