{#-
    How the rows that a loader wrote become rows with known types, whatever the loader made of the
    columns: jsonb, arrays, or text with JSON (setting `json_text` of the tap). A column that is not
    there, because it was deselected, is null.
-#}

{#- Select the rows of a stream with one row for each recording. -#}
{% macro source_rows(stream) -%}
    {{ return(adapter.dispatch('source_rows', 'focus')(stream)) }}
{%- endmacro %}

{% macro default__source_rows(stream) -%}
    select * from {{ source('focus', stream) }}
{%- endmacro %}

{#- Files: the last line of a recording wins. Files are read in the order of their names, which
    contain the time, and lines in their order. -#}
{% macro duckdb__source_rows(stream) -%}
    with loaded as (
        {{ duckdb_reader(stream) }}
    ),

    numbered as (
        select
            record,
            file_name,
            cast(record ->> '$.interactionId' as bigint) as id,
            row_number() over () as line
        from loaded
    ),

    latest as (
        select id, max((file_name, line)) as place
        from numbered
        group by id
    )

    select
        numbered.record,
        numbered.file_name,
        json_type(coalesce(
            {%- for name in ['endpoints', 'tags', 'analysis', 'optional', 'additionalFields', 'previousFiles'] %}
            nullif(numbered.record -> '$.{{ name }}', 'null'){{ ',' if not loop.last }}
            {%- endfor %}
        )) = 'VARCHAR' as has_json_text
    from numbered
    inner join latest on numbered.id = latest.id and (numbered.file_name, numbered.line) = latest.place
{%- endmacro %}

{% macro duckdb_reader(stream) -%}
    {%- set source_table = source('focus', stream) -%}
    {%- set files = setting('files') | replace('{stream}', stream) -%}
    {%- if not files -%}
        select to_json(loaded_rows) as record, '' as file_name from {{ source_table }} as loaded_rows
    {%- elif files.endswith('.parquet') -%}
        select to_json(loaded_rows) as record, filename as file_name
        from read_parquet('{{ files }}', filename = true, union_by_name = true) as loaded_rows
    {%- else -%}
        select json as record, filename as file_name
        from read_ndjson_objects('{{ files }}', filename = true, maximum_object_size = 67108864)
    {%- endif -%}
{%- endmacro %}


{#- Return the columns of a loaded table by their lowercase names: the name and the type. Without
    a connection (`--no-introspect`) there is no result, and all columns are assumed. -#}
{% macro source_columns(stream) %}
    {%- if execute and target.type != 'duckdb' and flags.INTROSPECT -%}
        {%- set columns = {} -%}
        {%- for column in adapter.get_columns_in_relation(source('focus', stream)) -%}
            {%- do columns.update({column.name | lower: [column.name, column.dtype | lower]}) -%}
        {%- endfor -%}
        {{- return(columns) -}}
    {%- endif -%}
    {{- return(none) -}}
{% endmacro %}


{#- Return a column of the stream with a type: text, bigint, decimal, boolean, timestamp or json. -#}
{% macro source_column(columns, name, type) -%}
    {{ return(adapter.dispatch('source_column', 'focus')(columns, name, type)) }}
{%- endmacro %}

{% macro default__source_column(columns, name, type) -%}
    {%- set types = {
        'text': dbt.type_string(), 'bigint': dbt.type_bigint(), 'decimal': type_decimal(),
        'boolean': dbt.type_boolean(), 'timestamp': type_time(), 'json': type_json(),
    } -%}
    {%- if columns is not none and name | lower not in columns -%}
        cast(null as {{ types[type] }})
    {%- else -%}
        {%- set found = (columns or {}).get(name | lower, [name, type]) -%}
        {%- set column = adapter.quote(found[0]) -%}
        {%- if type == 'json' -%}
            {{ loaded_json(column, is_text_type(found[1])) }}
        {%- elif type == 'timestamp' and found[1] == 'timestamp with time zone' -%}
            {{ column }} at time zone 'UTC'
        {%- else -%}
            cast({{ column }} as {{ types[type] }})
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{#- Return the type of a duration in seconds, of which PostgreSQL keeps all digits. -#}
{% macro type_decimal() %}{{ return(adapter.dispatch('type_decimal', 'focus')()) }}{% endmacro %}

{% macro default__type_decimal() %}{{ return(dbt.type_numeric()) }}{% endmacro %}

{% macro postgres__type_decimal() %}{{ return('numeric') }}{% endmacro %}


{% macro is_text_type(type) -%}
    {{ return(type in ('text', 'string', 'varchar') or type.startswith('character varying')) }}
{%- endmacro %}


{#- Return a loaded column, which may be text with JSON, as JSON. The JSON value null becomes null. -#}
{% macro loaded_json(column, is_text) -%}
    {{ return(adapter.dispatch('loaded_json', 'focus')(column, is_text)) }}
{%- endmacro %}

{% macro postgres__loaded_json(column, is_text) -%}
    nullif({{ 'cast(' ~ column ~ ' as jsonb)' if is_text else 'to_jsonb(' ~ column ~ ')' }}, 'null')
{%- endmacro %}

{#- In files, the value and not its column decides whether it is text with JSON. -#}
{% macro duckdb__loaded_json(column, is_text) -%}
    nullif(case when {{ is_text }} then cast({{ column }} ->> '$' as json) else {{ column }} end, 'null')
{%- endmacro %}

{% macro duckdb__source_column(columns, name, type) -%}
    {%- set types = {'text': 'varchar', 'decimal': 'decimal(28, 9)'} -%}
    {%- if type == 'json' -%}
        {%- set is_text = "coalesce(has_json_text, json_valid(record ->> '$." ~ name ~ "'))" -%}
        {{ loaded_json("(record -> '$." ~ name ~ "')", is_text) }}
    {%- else -%}
        cast(record ->> '$.{{ name }}' as {{ types.get(type, type) }})
    {%- endif -%}
{%- endmacro %}


{#- Return when a row was loaded: the loader's column, else the time in the name of the file. -#}
{% macro loaded_at(columns) -%}
    {{ return(adapter.dispatch('loaded_at', 'focus')(columns)) }}
{%- endmacro %}

{% macro default__loaded_at(columns) -%}
    {{ source_column(columns, '_sdc_batched_at', 'timestamp') }}
{%- endmacro %}

{% macro duckdb__loaded_at(columns) -%}
    coalesce(
        {{ source_column(columns, '_sdc_batched_at', 'timestamp') }},
        try_strptime(
            replace(regexp_extract(file_name, '\d{8}[T-]\d{6}'), '-', 'T'), '%Y%m%dT%H%M%S'
        )
    )
{%- endmacro %}
