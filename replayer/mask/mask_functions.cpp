#include "replayer/mask/mask_functions.h"

#include "formats/wire/sql_text.h"

namespace understudy::replayer {
namespace {

using masking::Rule;

constexpr std::string_view kPermutation = R"sql(
-- The key's block of RFC 2104, each byte changed by `pad`.
CREATE OR REPLACE FUNCTION understudy.key_pad(pad int) RETURNS bytea LANGUAGE plpgsql STABLE AS $f$
DECLARE
  key bytea := convert_to(current_setting(KEY_SETTING), 'UTF8');
  block bytea;
BEGIN
  IF length(key) < 16 THEN RAISE 'the masking key in % has less than 16 characters', KEY_SETTING; END IF;
  IF length(key) > 64 THEN key := sha256(key); END IF;
  block := key || decode(repeat('00', 64 - length(key)), 'hex');
  FOR i IN 0..63 LOOP
    block := set_byte(block, i, get_byte(block, i) # pad);
  END LOOP;
  RETURN block;
END $f$;

-- A keyed bijection on lists of digits, each below its radix: a Feistel network of 8 rounds.
CREATE OR REPLACE FUNCTION understudy.permute(family text, label text, digits int[], radices int[], pads bytea[])
RETURNS int[] LANGUAGE plpgsql IMMUTABLE AS $f$
DECLARE
  n int := coalesce(array_length(digits, 1), 0);
  prefix bytea := pads[1] || convert_to(family, 'UTF8') || '\x00'::bytea || convert_to(label, 'UTF8') || '\x00'::bytea;
  own bytea;
  half bytea;
  seed bytea;
  block bytea;
  first int;
  last int;
  k int;
BEGIN
  IF n = 0 THEN RETURN digits; END IF;
  IF n = 1 THEN
    own := sha256(pads[2] || sha256(prefix || '\xff'::bytea || int2send(digits[1]::int2)));
    RETURN ARRAY[(SELECT count(*)::int FROM generate_series(0, radices[1] - 1) AS i
                  WHERE sha256(pads[2] || sha256(prefix || '\xff'::bytea || int2send(i::int2))) < own)];
  END IF;
  FOR round IN 0..7 LOOP
    IF round % 2 = 0 THEN first := n / 2 + 1; last := n; ELSE first := 1; last := n / 2; END IF;
    SELECT string_agg(int2send(digits[i]::int2), ''::bytea ORDER BY i) INTO half FROM generate_series(first, last) AS i;
    seed := sha256(pads[2] || sha256(prefix || set_byte('\x00'::bytea, 0, round) || half));
    IF round % 2 = 0 THEN first := 1; last := n / 2; ELSE first := n / 2 + 1; last := n; END IF;
    k := 0;
    FOR i IN first..last LOOP
      IF k % 16 = 0 THEN block := sha256(seed || int4send(k / 16)); END IF;
      digits[i] := (digits[i] + 256 * get_byte(block, 2 * (k % 16)) + get_byte(block, 2 * (k % 16) + 1)) % radices[i];
      k := k + 1;
    END LOOP;
  END LOOP;
  RETURN digits;
END $f$;
)sql";

constexpr std::string_view kShapes = R"sql(
-- Days since 1970-01-01 of 'YYYY-MM-DD', years 0001 to 9999; null for what is no date.
CREATE OR REPLACE FUNCTION understudy.read_date(value text) RETURNS int LANGUAGE plpgsql IMMUTABLE STRICT AS $f$
DECLARE
  y int;
  m int;
  d int;
BEGIN
  IF value !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' THEN RETURN NULL; END IF;
  y := substr(value, 1, 4)::int;
  m := substr(value, 6, 2)::int;
  d := substr(value, 9, 2)::int;
  IF y < 1 OR m < 1 OR m > 12 OR d < 1 THEN RETURN NULL; END IF;
  IF d > extract(day FROM make_date(y, m, 1) + interval '1 month' - interval '1 day') THEN RETURN NULL; END IF;
  RETURN make_date(y, m, d) - date '1970-01-01';
END $f$;

CREATE OR REPLACE FUNCTION understudy.write_date(days int) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $f$
  SELECT to_char(date '1970-01-01' + days, 'YYYY-MM-DD')
$f$;

-- Day and second of UTC, offset in seconds; null for what is no timestamp. `parts` are understudy.timestamp_parts.
CREATE OR REPLACE FUNCTION understudy.read_timestamp(parts text[]) RETURNS int[] LANGUAGE plpgsql IMMUTABLE AS $f$
DECLARE
  days int;
  seconds int;
  shift int := 0;
BEGIN
  IF parts IS NULL THEN RETURN NULL; END IF;
  days := understudy.read_date(parts[1]);
  IF days IS NULL OR parts[2]::int > 23 OR parts[3]::int > 59 OR parts[4]::int > 59 THEN RETURN NULL; END IF;
  seconds := parts[2]::int * 3600 + parts[3]::int * 60 + parts[4]::int;
  IF parts[6] IS NOT NULL THEN
    IF parts[7]::int > 15 OR coalesce(parts[8]::int, 0) > 59 OR coalesce(parts[9]::int, 0) > 59 THEN
      RETURN NULL;
    END IF;
    shift := parts[7]::int * 3600 + coalesce(parts[8]::int, 0) * 60 + coalesce(parts[9]::int, 0);
    IF parts[6] = '-' THEN shift := -shift; END IF;
  END IF;
  seconds := seconds - shift;
  IF seconds < 0 THEN seconds := seconds + 86400; days := days - 1; END IF;
  IF seconds >= 86400 THEN seconds := seconds - 86400; days := days + 1; END IF;
  IF days < -719162 OR days > 2932896 THEN RETURN NULL; END IF;
  RETURN ARRAY[days, seconds, shift];
END $f$;

CREATE OR REPLACE FUNCTION understudy.timestamp_parts(value text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT AS $f$
  SELECT regexp_match(value, '^([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?'
                             '(?:(?:Z|([+-])([0-9]{2})(?::([0-9]{2})(?::([0-9]{2}))?)?))?$')
$f$;

-- What a value looks like; a token looks the same.
CREATE OR REPLACE FUNCTION understudy.shape(value text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $f$
DECLARE
  digits text;
  bound text;
BEGIN
  IF value IN ('infinity', '-infinity', 'NaN', '\x') THEN RETURN 'keyword'; END IF;
  IF value ~ '^(0|-?[1-9][0-9]*)$' THEN
    digits := ltrim(value, '-');
    bound := CASE length(digits) WHEN 5 THEN '32767' WHEN 10 THEN '2147483647' WHEN 19 THEN '9223372036854775807' END;
    IF bound IS NULL THEN RETURN 'integer'; END IF;
    IF digits::numeric <= bound::numeric + (value LIKE '-%')::int THEN RETURN 'integer within'; END IF;
    RETURN 'integer beyond';
  END IF;
  IF value ~ '^-?(0|[1-9][0-9]*)\.[0-9]+$' THEN RETURN 'number'; END IF;
  IF value ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' THEN RETURN 'uuid'; END IF;
  IF value ~ '^[0-9a-f]{32}$' THEN RETURN 'plain uuid'; END IF;
  IF understudy.read_date(value) IS NOT NULL THEN RETURN 'date'; END IF;
  IF understudy.read_timestamp(understudy.timestamp_parts(value)) IS NOT NULL THEN RETURN 'timestamp'; END IF;
  IF value ~ '^\\x([0-9a-f]{2})+$' THEN RETURN 'hex'; END IF;
  IF value ~ ('^(0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])(\.(0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])){3}'
              '(/(0|[1-9]|[12][0-9]|3[0-2]))?$') THEN
    RETURN 'address';
  END IF;
  RETURN 'text';
END $f$;
)sql";

constexpr std::string_view kSteps = R"sql(
CREATE OR REPLACE FUNCTION understudy.mask_characters(value text, family text, pads bytea[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $f$
DECLARE
  chars text[] := regexp_split_to_array(value, '');
  template text[] := chars;
  c int;
  base int;
  radix int;
  places int[] := '{}';
  bases int[] := '{}';
  digits int[] := '{}';
  radices int[] := '{}';
BEGIN
  IF value = '' THEN RETURN value; END IF;
  FOR i IN 1..array_length(chars, 1) LOOP
    c := ascii(chars[i]);
    IF c BETWEEN 48 AND 57 THEN base := 48; radix := 10;
    ELSIF c BETWEEN 97 AND 122 THEN base := 97; radix := 26;
    ELSIF c BETWEEN 65 AND 90 THEN base := 65; radix := 26;
    ELSIF c >= 128 THEN base := c - c % 64; radix := 64;
    ELSE CONTINUE;
    END IF;
    places := places || i;
    bases := bases || base;
    digits := digits || (c - base);
    radices := radices || radix;
    template[i] := chr(base);
  END LOOP;
  digits := understudy.permute(family, 't' || array_to_string(template, ''), digits, radices, pads);
  FOR i IN 1..coalesce(array_length(places, 1), 0) LOOP
    chars[places[i]] := chr(bases[i] + digits[i]);
  END LOOP;
  RETURN array_to_string(chars, '');
END $f$;

CREATE OR REPLACE FUNCTION understudy.mask_hex(value text, family text, label text, kept int[], pads bytea[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $f$
DECLARE
  chars text[] := regexp_split_to_array(value, '');
  places int[] := '{}';
  digits int[] := '{}';
BEGIN
  FOR i IN 1..array_length(chars, 1) LOOP
    CONTINUE WHEN i = ANY(kept) OR chars[i] = '-';
    places := places || i;
    digits := digits || (strpos('0123456789abcdef', chars[i]) - 1);
  END LOOP;
  digits := understudy.permute(family, label, digits, array_fill(16, ARRAY[array_length(digits, 1)]), pads);
  FOR i IN 1..array_length(places, 1) LOOP
    chars[places[i]] := substr('0123456789abcdef', digits[i] + 1, 1);
  END LOOP;
  RETURN array_to_string(chars, '');
END $f$;

CREATE OR REPLACE FUNCTION understudy.mask_day(days int, family text, pads bytea[]) RETURNS int
LANGUAGE plpgsql IMMUTABLE AS $f$
DECLARE
  near bool := days BETWEEN -25567 AND 47481;
  first int := CASE WHEN near THEN -25567 ELSE -719162 END;
  number int := CASE WHEN near THEN 73049 ELSE 3652059 END;
  radix int := CASE WHEN near THEN 271 ELSE 1912 END;
  i int := days - first;
  digits int[];
BEGIN
  LOOP
    digits := understudy.permute(family, CASE WHEN near THEN 'd' ELSE 'D' END, ARRAY[i / radix, i % radix],
                                 ARRAY[radix, radix], pads);
    i := digits[1] * radix + digits[2];
    EXIT WHEN i < number AND (first + i BETWEEN -25567 AND 47481) = near;
  END LOOP;
  RETURN first + i;
END $f$;

CREATE OR REPLACE FUNCTION understudy.mask_timestamp(value text, family text, pads bytea[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $f$
DECLARE
  parts text[] := understudy.timestamp_parts(value);
  moment int[] := understudy.read_timestamp(parts);
  fraction text := rtrim(coalesce(parts[5], ''), '0');
  days int := moment[1];
  seconds int := moment[2];
  local_days int;
  local_seconds int;
  digits int[];
  radices int[];
BEGIN
  LOOP
    days := understudy.mask_day(days, family, pads);
    LOOP
      digits := ARRAY[seconds / 294, seconds % 294];
      radices := ARRAY[294, 294];
      FOR i IN 1..length(fraction) LOOP
        digits := digits || substr(fraction, i, 1)::int;
        radices := radices || 10;
      END LOOP;
      digits := understudy.permute(family, 's', digits, radices, pads);
      seconds := digits[1] * 294 + digits[2];
      fraction := array_to_string(digits[3:], '');
      EXIT WHEN seconds < 86400 AND right(fraction, 1) <> '0';
    END LOOP;
    local_days := days;
    local_seconds := seconds + moment[3];
    IF local_seconds < 0 THEN local_seconds := local_seconds + 86400; local_days := local_days - 1; END IF;
    IF local_seconds >= 86400 THEN local_seconds := local_seconds - 86400; local_days := local_days + 1; END IF;
    EXIT WHEN local_days BETWEEN -719162 AND 2932896;
  END LOOP;
  -- What is not date, time or fraction stays: the letter between, zeros at the end, the zone.
  RETURN understudy.write_date(local_days) || substr(value, 11, 1) || lpad((local_seconds / 3600)::text, 2, '0') || ':'
         || lpad((local_seconds / 60 % 60)::text, 2, '0') || ':' || lpad((local_seconds % 60)::text, 2, '0')
         || CASE WHEN parts[5] IS NULL THEN '' ELSE '.' END || fraction
         || substr(value, 20 + length(fraction) + CASE WHEN parts[5] IS NULL THEN 0 ELSE 1 END);
END $f$;

CREATE OR REPLACE FUNCTION understudy.mask_address(value text, family text, pads bytea[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $f$
DECLARE
  octets text[] := string_to_array(split_part(value, '/', 1), '.');
  digits int[] := '{}';
  bases int[] := '{}';
  radices int[] := '{}';
BEGIN
  FOR i IN 1..4 LOOP
    bases := bases || CASE length(octets[i]) WHEN 1 THEN 0 WHEN 2 THEN 10 ELSE 100 END;
    radices := radices || CASE length(octets[i]) WHEN 1 THEN 10 WHEN 2 THEN 90 ELSE 156 END;
    digits := digits || (octets[i]::int - bases[i]);
  END LOOP;
  digits := understudy.permute(family, 'i', digits, radices, pads);
  FOR i IN 1..4 LOOP
    octets[i] := (bases[i] + digits[i])::text;
  END LOOP;
  RETURN array_to_string(octets, '.') || substr(value, length(split_part(value, '/', 1)) + 1);
END $f$;
)sql";

constexpr std::string_view kEntry = R"sql(
-- The token of a value in text form. The database's encoding must be UTF8.
CREATE OR REPLACE FUNCTION understudy.mask_text(value text, family text DEFAULT '') RETURNS text
LANGUAGE plpgsql STABLE STRICT AS $f$
DECLARE
  pads bytea[] := ARRAY[understudy.key_pad(54), understudy.key_pad(92)];
  token text := rtrim(value, ' ');
  shape text := understudy.shape(token);
BEGIN
  IF shape = 'keyword' THEN RETURN value; END IF;
  LOOP
    token := CASE shape
      WHEN 'uuid' THEN understudy.mask_hex(token, family, 'u' || substr(token, 15, 1) || substr(token, 20, 1), '{15,20}',
                                           pads)
      WHEN 'plain uuid' THEN understudy.mask_hex(token, family, 'u' || substr(token, 13, 1) || substr(token, 17, 1),
                                                 '{13,17}', pads)
      WHEN 'hex' THEN understudy.mask_hex(token, family, 'x', '{1,2}', pads)
      WHEN 'date' THEN understudy.write_date(understudy.mask_day(understudy.read_date(token), family, pads))
      WHEN 'timestamp' THEN understudy.mask_timestamp(token, family, pads)
      WHEN 'address' THEN understudy.mask_address(token, family, pads)
      ELSE understudy.mask_characters(token, family, pads)
    END;
    EXIT WHEN understudy.shape(token) = shape;
  END LOOP;
  RETURN token || repeat(' ', length(value) - length(token));
END $f$;

-- The token of a value of a type that has tokens.
CREATE OR REPLACE FUNCTION understudy.mask(value anyelement, family text DEFAULT '') RETURNS anyelement
LANGUAGE plpgsql STABLE STRICT SET timezone = 'UTC' SET datestyle = 'ISO' SET bytea_output = 'hex' AS $f$
DECLARE
  masked value%TYPE;
BEGIN
  IF pg_typeof(value)::text NOT IN ('text', 'character varying', 'character', 'name', 'smallint', 'integer', 'bigint', 'oid',
                                    'numeric', 'uuid', 'date', 'timestamp without time zone',
                                    'timestamp with time zone', 'bytea', 'inet') THEN
    RAISE 'understudy has no tokens for values of type %', pg_typeof(value);
  END IF;
  masked := understudy.mask_text(format('%s', value), family);
  RETURN masked;
END $f$;
)sql";

// Rows are taken out and put in again in one go: masked one by one, a token could meet another row's value
// that is yet to be masked, in a unique index.
constexpr std::string_view kTables = R"sql(
DO $mask$
DECLARE
  tab record;
  missed text;
  expressions text;
  columns text;
BEGIN
  CREATE TEMP TABLE understudy_rules (number int, kind text, tab text, name text, family text) ON COMMIT DROP;
  INSERT INTO understudy_rules VALUES
RULES,
    (0, 'none', '', '', '');
  FOR tab IN
    SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'm' AND c.relispopulated AND n.nspname NOT LIKE 'pg\_%'
  LOOP
    RAISE 'materialized view % has values of its own: empty it first, with REFRESH MATERIALIZED VIEW % WITH NO DATA',
      tab.name, tab.name;
  END LOOP;
  FOR missed IN
    SELECT CASE u.kind WHEN 'column' THEN 'column ' || CASE u.tab WHEN '' THEN '' ELSE u.tab || '.' END || u.name
                       ELSE 'type ' || u.name::oid::regtype END
    FROM understudy_rules u
    WHERE u.kind IN ('column', 'type') AND NOT EXISTS (
      SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('information_schema', 'understudy')
        AND n.nspname NOT LIKE 'pg\_%' AND a.attnum > 0 AND NOT a.attisdropped
        AND CASE u.kind WHEN 'column' THEN u.name = a.attname::text AND u.tab IN ('', c.relname::text)
                        ELSE u.name = a.atttypid::text END)
    ORDER BY u.number
  LOOP
    RAISE WARNING 'no table has a column for the rule "%": is it spelt as in the database?', missed;
  END LOOP;
  FOR tab IN
    SELECT format('%I.%I', n.nspname, c.relname) AS name, u.name AS told,
           (SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS found
    FROM understudy_rules u JOIN pg_class c ON c.relname = u.tab JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE u.kind = 'table' AND c.relkind IN ('r', 'p') AND n.nspname <> 'understudy' AND n.nspname NOT LIKE 'pg\_%'
    ORDER BY u.number, 1
  LOOP
    CONTINUE WHEN tab.told = tab.found;
    RAISE WARNING 'table % has the columns (%), not (%) as the rules say: what understudy mask made by that may tell values',
      tab.name, tab.found, tab.told;
  END LOOP;
  FOR missed IN
    SELECT u.tab FROM understudy_rules u
    WHERE u.kind = 'table' AND NOT EXISTS (SELECT FROM pg_class c WHERE c.relname = u.tab AND c.relkind IN ('r', 'p'))
  LOOP
    RAISE WARNING 'no table is called "%", whose columns the rules tell', missed;
  END LOOP;
  -- Foreign keys, triggers and rules rest meanwhile: both ends of a key get the same tokens.
  SET LOCAL session_replication_role = replica;
  FOR tab IN
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'understudy') AND n.nspname NOT LIKE 'pg\_%'
    ORDER BY 2
  LOOP
    SELECT string_agg(CASE r.kind
                        WHEN 'pattern' THEN format('CASE WHEN %I::text ~ %L THEN understudy.mask(%I, %L) ELSE %I END AS %I',
                                                   a.attname, r.name, a.attname, r.family, a.attname, a.attname)
                        WHEN 'none' THEN format('%I', a.attname)
                        ELSE format('understudy.mask(%I, %L) AS %I', a.attname, r.family, a.attname)
                      END, ', ' ORDER BY a.attnum),
           string_agg(format('%I', a.attname), ', ' ORDER BY a.attnum)
      INTO expressions, columns
      FROM pg_attribute a
      JOIN pg_class c ON c.oid = a.attrelid
      CROSS JOIN LATERAL (
        SELECT u.kind, u.name, u.family FROM understudy_rules u
        WHERE u.kind = 'none'
           OR (u.kind = 'column' AND u.name = a.attname::text
               AND (u.tab IN ('', c.relname::text)
                    -- A rule for a table is for its partitions and for those that inherit from it.
                    OR u.tab IN (WITH RECURSIVE above AS (
                                   SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = c.oid
                                   UNION
                                   SELECT i.inhparent FROM pg_inherits i JOIN above ON i.inhrelid = above.inhparent)
                                 SELECT p.relname::text FROM above JOIN pg_class p ON p.oid = above.inhparent)))
           OR (u.kind = 'type' AND u.name = a.atttypid::text)
           OR (u.kind = 'pattern' AND a.atttypid IN (19, 25, 1042, 1043))
        ORDER BY strpos('column type pattern none', u.kind), u.number
        LIMIT 1) AS r
      WHERE a.attrelid = tab.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
    CONTINUE WHEN expressions IS NOT DISTINCT FROM columns;
    EXECUTE format('CREATE TEMP TABLE understudy_rows AS SELECT %s FROM ONLY %s', expressions, tab.name);
    EXECUTE format('DELETE FROM ONLY %s', tab.name);
    EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM understudy_rows', tab.name, columns, columns);
    DROP TABLE understudy_rows;
    RAISE NOTICE 'masked %', tab.name;
  END LOOP;
END $mask$;
)sql";

std::string replaced(std::string_view text, std::string_view what, std::string_view by) {
  std::string out(text);
  for (std::size_t at = out.find(what); at != std::string::npos; at = out.find(what, at + by.size()))
    out.replace(at, what.size(), by);
  return out;
}

// (1, 'column', 'users', 'ssn', 'person')
std::string rule_row(const Rule& rule, std::size_t number) {
  const char* const kind = rule.kind == Rule::Kind::kColumn ? "column"
                           : rule.kind == Rule::Kind::kType ? "type"
                                                            : "pattern";
  const std::string name = rule.kind == Rule::Kind::kColumn ? rule.name
                           : rule.kind == Rule::Kind::kType ? std::to_string(masking::type_oid(rule.type))
                                                            : rule.pattern;
  return "    (" + std::to_string(number) + ", '" + kind + "', " + wire::quote_literal(rule.table) + ", " +
         wire::quote_literal(name) + ", " + wire::quote_literal(rule.family) + ")";
}

// (0, 'table', 'users', 'id, email, ssn', '')
std::string table_row(const std::string& table, const std::vector<std::string>& columns) {
  std::string names;
  for (const std::string& column : columns) names += (names.empty() ? "" : ", ") + column;
  return "    (0, 'table', " + wire::quote_literal(table) + ", " + wire::quote_literal(names) + ", '')";
}

}  // namespace

std::string mask_functions_sql(std::string_view key_setting) {
  std::string out = "CREATE SCHEMA IF NOT EXISTS understudy;\n";
  out += replaced(kPermutation, "KEY_SETTING", wire::quote_literal(key_setting));
  for (const std::string_view part : {kShapes, kSteps, kEntry}) out += part;
  return out;
}

std::string mask_tables_sql(const masking::Rules& rules) {
  std::string rows;
  for (std::size_t i = 0; i < rules.all().size(); ++i)
    rows += (i == 0 ? "" : ",\n") + rule_row(rules.all()[i], i + 1);
  for (const auto& [table, columns] : rules.tables()) rows += ",\n" + table_row(table, columns);
  // A pattern may hold the tag of the block's quotes.
  std::string tag = "mask";
  while (rows.find("$" + tag + "$") != std::string::npos) tag += "_";
  return replaced(replaced(kTables, "$mask$", "$" + tag + "$"), "RULES", rows);
}

}  // namespace understudy::replayer
