{#- Return a member of a JSON object as text, by its path. -#}
{% macro json_text(column, path) -%}
    {{ return(adapter.dispatch('json_text', 'focus')(column, path)) }}
{%- endmacro %}

{% macro postgres__json_text(column, path) -%}
    ({{ column }} #>> '{ {{- path | join(',') -}} }')
{%- endmacro %}

{% macro duckdb__json_text(column, path) -%}
    ({{ column }} ->> '$.{{ path | join('.') }}')
{%- endmacro %}


{#- Return whether a JSON value is an object, an array and so on: `type` in lowercase. -#}
{% macro json_is(column, type) -%}
    {{ return(adapter.dispatch('json_is', 'focus')(column, type)) }}
{%- endmacro %}

{% macro postgres__json_is(column, type) -%}
    coalesce(jsonb_typeof({{ column }}) = '{{ type }}', false)
{%- endmacro %}

{% macro duckdb__json_is(column, type) -%}
    coalesce(json_type({{ column }}) = '{{ type | upper }}', false)
{%- endmacro %}


{#- Return a member of a JSON object as JSON. -#}
{% macro json_member(column, name) -%}
    {{ return(adapter.dispatch('json_member', 'focus')(column, name)) }}
{%- endmacro %}

{% macro postgres__json_member(column, name) -%}
    ({{ column }} -> '{{ name }}')
{%- endmacro %}

{% macro duckdb__json_member(column, name) -%}
    ({{ column }} -> '$.{{ name }}')
{%- endmacro %}


{#- Join the elements of a JSON array: columns `position`, from 1, and `element`.
    Without an array there are no rows. -#}
{% macro cross_join_elements(column) -%}
    {{ return(adapter.dispatch('cross_join_elements', 'focus')(column)) }}
{%- endmacro %}

{% macro postgres__cross_join_elements(column) -%}
    cross join lateral jsonb_array_elements(
        case when jsonb_typeof({{ column }}) = 'array' then {{ column }} end
    ) with ordinality as elements (element, position)
{%- endmacro %}

{% macro duckdb__cross_join_elements(column) -%}
    cross join unnest(
        case when json_type({{ column }}) = 'ARRAY' then cast({{ column }} as json[]) end
    ) with ordinality as elements (element, position)
{%- endmacro %}


{#- Join the keys of a JSON object: column `key`. Without an object there are no rows. -#}
{% macro cross_join_keys(column) -%}
    {{ return(adapter.dispatch('cross_join_keys', 'focus')(column)) }}
{%- endmacro %}

{% macro postgres__cross_join_keys(column) -%}
    cross join lateral jsonb_object_keys(
        case when jsonb_typeof({{ column }}) = 'object' then {{ column }} end
    ) as keys (key)
{%- endmacro %}

{% macro duckdb__cross_join_keys(column) -%}
    cross join unnest(
        case when json_type({{ column }}) = 'OBJECT' then json_keys({{ column }}) end
    ) as keys (key)
{%- endmacro %}


{#- Return the text of a JSON string, and the JSON text of any other value. -#}
{% macro json_scalar(column) -%}
    {{ return(adapter.dispatch('json_scalar', 'focus')(column)) }}
{%- endmacro %}

{% macro postgres__json_scalar(column) -%}
    ({{ column }} #>> '{}')
{%- endmacro %}

{% macro duckdb__json_scalar(column) -%}
    ({{ column }} ->> '$')
{%- endmacro %}


{% macro type_json() %}{{ return(adapter.dispatch('type_json', 'focus')()) }}{% endmacro %}

{% macro default__type_json() %}{{ return('json') }}{% endmacro %}

{% macro postgres__type_json() %}{{ return('jsonb') }}{% endmacro %}


{#- Return a JSON value as JSON text. -#}
{% macro json_encode(column) -%}
    {{ return(adapter.dispatch('json_encode', 'focus')(column)) }}
{%- endmacro %}

{% macro default__json_encode(column) -%}
    cast({{ column }} as {{ dbt.type_string() }})
{%- endmacro %}


{#- Return the text after the last dot. -#}
{% macro last_part(column) -%}
    regexp_replace({{ column }}, '^.*[.]', '')
{%- endmacro %}
