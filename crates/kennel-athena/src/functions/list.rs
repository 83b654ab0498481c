//! The list of Trino's functions, with what became of each here.
//!
//! The names are written down; their states follow from what is registered, so that the list cannot say
//! that something is there which is not. `docs/athena.md` and `SHOW FUNCTIONS` are made from it.
//!
//! Source: Trino manual, "List of functions by topic".

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use datafusion::execution::SessionStateDefaults;

use crate::rewrite::REWRITTEN;

/// How a function of Trino is had here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FunctionState {
    /// DataFusion's own, which means the same.
    Same,
    /// Written in other words before planning, or DataFusion's under another name.
    Adapted,
    /// Written here.
    Own,
    /// Not there.
    Missing,
}

impl FunctionState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Adapted => "adapted",
            Self::Own => "own",
            Self::Missing => "missing",
        }
    }
}

/// A function of Trino.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionInfo {
    /// Its name.
    pub name: &'static str,
    /// The page of Trino's manual that describes it.
    pub family: &'static str,
    /// How it is had here.
    pub state: FunctionState,
    /// What to use instead of a missing one, or what differs; empty where there is nothing to say.
    pub note: &'static str,
}

/// All functions, by family and name.
pub fn functions() -> Vec<FunctionInfo> {
    let own: BTreeSet<String> = registered().into_iter().collect();
    let known = known();
    let state = |name: &str| {
        if own.contains(name) {
            FunctionState::Own
        } else if REWRITTEN.contains(&name) {
            FunctionState::Adapted
        } else if known.contains(name) {
            FunctionState::Same
        } else {
            FunctionState::Missing
        }
    };
    let mut list: Vec<_> = FAMILIES
        .iter()
        .flat_map(|(family, names)| {
            names.split_whitespace().map(|name| {
                let note = NOTES.iter().find(|(known, _)| *known == name);
                FunctionInfo {
                    name,
                    family,
                    state: state(name),
                    note: note.map_or("", |(_, note)| note),
                }
            })
        })
        .collect();
    list.sort_by_key(|function| (function.family, function.name));
    list
}

/// The family of a function of Athena's, by its name in lower case.
pub(crate) fn family_of(name: &str) -> Option<&'static str> {
    static ALL: LazyLock<BTreeMap<&str, &str>> = LazyLock::new(|| {
        let named = |(family, names): &(&'static str, &'static str)| {
            let family = *family;
            names.split_whitespace().map(move |name| (name, family))
        };
        FAMILIES.iter().flat_map(named).collect()
    });
    ALL.get(name).copied()
}

/// Is this a function of many rows? Those of the family, and those of other families that gather, too.
pub(crate) fn is_aggregate(name: &str) -> bool {
    const OTHERS: [&str; 8] = [
        "approx_set",
        "convex_hull_agg",
        "geometry_union_agg",
        "make_set_digest",
        "merge",
        "merge_set_digest",
        "qdigest_agg",
        "tdigest_agg",
    ];
    family_of(name) == Some("Aggregate") || OTHERS.contains(&name)
}

/// The names of DataFusion's functions.
fn known() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for function in SessionStateDefaults::default_scalar_functions() {
        known.insert(function.name().to_owned());
        known.extend(function.aliases().iter().cloned());
    }
    for function in SessionStateDefaults::default_aggregate_functions() {
        known.insert(function.name().to_owned());
        known.extend(function.aliases().iter().cloned());
    }
    for function in SessionStateDefaults::default_window_functions() {
        known.insert(function.name().to_owned());
        known.extend(function.aliases().iter().cloned());
    }
    for function in SessionStateDefaults::default_higher_order_functions() {
        known.insert(function.name().to_owned());
        known.extend(function.aliases().iter().cloned());
    }
    known
}

/// What to say about a function that DataFusion or another engine has and Athena has not; `None` for all others.
pub(crate) fn foreign(name: &str) -> Option<String> {
    let is_listed = || {
        let mut families = FAMILIES.iter();
        families.any(|(_, names)| names.split_whitespace().any(|known| known == name))
    };
    // Questions have `array_has`: of a constant array DataFusion makes an `IN`, by which files are left out.
    let is_ours = name.starts_with("__") || name == "array_has" || REWRITTEN.contains(&name);
    let instead = INSTEAD.iter().find(|(foreign, _)| *foreign == name);
    if is_ours || is_listed() || instead.is_none() && !known().contains(name) {
        return None;
    }
    Some(match instead {
        Some((_, instead)) => format!("`{name}` is no function of Athena; {instead} does that"),
        None => format!("`{name}` is no function of Athena"),
    })
}

/// What does in Athena what others do elsewhere.
const INSTEAD: &[(&str, &str)] = &[
    ("add_months", "date_add('month', n, x)"),
    ("adddate", "date_add('day', n, x)"),
    ("approx_median", "approx_percentile(x, 0.5)"),
    ("array_append", "a || x"),
    ("array_cat", "concat(a, b)"),
    ("array_concat", "concat(a, b)"),
    ("array_contains", "contains(a, x)"),
    ("array_element", "element_at(a, n)"),
    ("array_has_any", "arrays_overlap(a, b)"),
    ("array_length", "cardinality(a)"),
    ("array_prepend", "x || a"),
    ("array_reverse", "reverse(a)"),
    ("array_size", "cardinality(a)"),
    ("array_slice", "slice(a, start, length)"),
    ("array_sum", "reduce(a, 0, (s, x) -> s + x, s -> s)"),
    ("array_to_string", "array_join(a, separator)"),
    ("arrow_typeof", "typeof(x)"),
    ("charindex", "strpos(text, part)"),
    ("collect_list", "array_agg(x)"),
    ("collect_set", "array_agg(DISTINCT x)"),
    ("countif", "count_if(x)"),
    ("curdate", "current_date"),
    ("date_bin", "date_trunc(unit, x)"),
    ("date_part", "extract(unit FROM x)"),
    ("date_sub", "date_add('day', -n, x)"),
    ("dateadd", "date_add('day', n, x)"),
    ("datediff", "date_diff('day', x, y)"),
    ("datepart", "extract(unit FROM x)"),
    ("datetrunc", "date_trunc(unit, x)"),
    ("dayname", "date_format(x, '%W')"),
    ("dayofmonth", "day_of_month(x)"),
    ("dayofweek", "day_of_week(x)"),
    ("dayofyear", "day_of_year(x)"),
    ("decode", "CASE x WHEN y THEN z END"),
    ("endswith", "text LIKE '%end'"),
    ("explode", "CROSS JOIN UNNEST(x) AS t (y)"),
    ("from_utc_timestamp", "at_timezone(x, zone)"),
    ("gen_random_uuid", "uuid()"),
    ("get_json_object", "json_extract_scalar(x, '$.key')"),
    ("getdate", "now()"),
    ("getutcdate", "now()"),
    (
        "group_concat",
        "listagg(x, separator) WITHIN GROUP (ORDER BY y)",
    ),
    ("hex", "to_hex(x)"),
    ("iff", "if(condition, x, y)"),
    ("ifnull", "coalesce(x, y)"),
    ("iif", "if(condition, x, y)"),
    ("inet_aton", "CAST(x AS ipaddress)"),
    ("instr", "strpos(text, part)"),
    ("isnull", "coalesce(x, y)"),
    ("isnumeric", "TRY_CAST(x AS double) IS NOT NULL"),
    (
        "json_array_elements",
        "CROSS JOIN UNNEST(CAST(x AS array(json))) AS t (y)",
    ),
    ("json_extract_path_text", "json_extract_scalar(x, '$.key')"),
    ("json_extract_string", "json_extract_scalar(x, '$.key')"),
    ("last_day", "last_day_of_month(x)"),
    ("lcase", "lower(text)"),
    ("left", "substr(text, 1, n)"),
    ("len", "length(text)"),
    ("list_append", "a || x"),
    ("locate", "strpos(text, part)"),
    ("make_array", "ARRAY[x, y]"),
    ("make_date", "CAST(text AS date)"),
    ("median", "approx_percentile(x, 0.5)"),
    ("monthname", "date_format(x, '%M')"),
    ("months_between", "date_diff('month', x, y)"),
    ("newid", "uuid()"),
    ("nvl", "coalesce(x, y)"),
    ("nvl2", "if(x IS NOT NULL, y, z)"),
    ("parse_json", "json_parse(x)"),
    ("parse_url", "url_extract_host(x)"),
    ("percentile", "approx_percentile(x, p)"),
    ("percentile_cont", "approx_percentile(x, p)"),
    ("regexp_contains", "regexp_like(text, pattern)"),
    ("regexp_instr", "regexp_position(text, pattern)"),
    ("regexp_match", "regexp_extract(text, pattern)"),
    ("regexp_substr", "regexp_extract(text, pattern)"),
    ("right", "substr(text, -n)"),
    ("sha224", "sha256(x)"),
    ("size", "cardinality(x)"),
    ("startswith", "starts_with(text, start)"),
    ("str_to_date", "date_parse(text, '%Y-%m-%d')"),
    ("strftime", "date_format(x, '%Y-%m-%d')"),
    (
        "string_agg",
        "listagg(x, separator) WITHIN GROUP (ORDER BY y)",
    ),
    ("string_split", "split(text, separator)"),
    ("string_to_array", "split(text, separator)"),
    ("struct", "ROW(x, y)"),
    ("substring_index", "split_part(text, separator, n)"),
    ("sysdate", "now()"),
    ("timestamp_diff", "date_diff(unit, x, y)"),
    ("timestampadd", "date_add(unit, n, x)"),
    ("timestampdiff", "date_diff(unit, x, y)"),
    ("to_json", "CAST(x AS json)"),
    ("to_number", "CAST(x AS decimal(18, 2))"),
    ("to_timestamp_millis", "from_unixtime(x / 1000e0)"),
    ("to_timestamp_seconds", "from_unixtime(x)"),
    ("to_varchar", "CAST(x AS varchar)"),
    ("today", "current_date"),
    ("trunc", "truncate(x)"),
    ("ucase", "upper(text)"),
    ("unhex", "from_hex(x)"),
    ("unix_timestamp", "to_unixtime(x)"),
    ("weekofyear", "week_of_year(x)"),
    ("zeroifnull", "coalesce(x, 0)"),
];

/// The names under which this crate registers functions; those that users do not write begin with `__`.
pub(super) fn registered() -> Vec<String> {
    let mut names = Vec::new();
    for function in super::scalar() {
        names.push(function.name().to_owned());
        names.extend(function.aliases().iter().cloned());
    }
    for function in super::aggregate() {
        names.push(function.name().to_owned());
        names.extend(function.aliases().iter().cloned());
    }
    for function in super::higher_order() {
        names.push(function.name().to_owned());
        names.extend(function.aliases().iter().cloned());
    }
    names
}

/// Families and the names of their functions.
const FAMILIES: &[(&str, &str)] = &[
    (
        "Aggregate",
        "any_value approx_distinct approx_most_frequent approx_percentile arbitrary array_agg avg \
         bitwise_and_agg bitwise_or_agg bitwise_xor_agg bool_and bool_or checksum corr count count_if \
         covar_pop covar_samp entropy every geometric_mean histogram kurtosis listagg map_agg map_union max \
         max_by min min_by multimap_agg numeric_histogram reduce_agg regr_intercept regr_slope skewness \
         stddev stddev_pop stddev_samp sum var_pop var_samp variance",
    ),
    (
        "Array",
        "all_match any_match array_distinct array_except array_first array_histogram array_intersect \
         array_join array_last array_max array_min array_position array_remove array_sort array_union \
         arrays_overlap cardinality combinations contains contains_sequence cosine_distance dot_product \
         element_at euclidean_distance filter flatten ngrams none_match reduce repeat sequence shuffle slice \
         transform trim_array zip zip_with",
    ),
    (
        "Binary",
        "crc32 from_base32 from_base64 from_base64url from_big_endian_32 from_big_endian_64 from_hex \
         from_ieee754_32 from_ieee754_64 hmac_md5 hmac_sha1 hmac_sha256 hmac_sha512 md5 murmur3 sha1 sha256 \
         sha512 spooky_hash_v2_32 spooky_hash_v2_64 to_base32 to_base64 to_base64url to_big_endian_32 \
         to_big_endian_64 to_hex to_ieee754_32 to_ieee754_64 xxhash64",
    ),
    (
        "Bitwise",
        "bit_count bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift \
         bitwise_right_shift_arithmetic bitwise_xor",
    ),
    ("Color", "bar color render rgb"),
    ("Comparison", "greatest least"),
    ("Conditional", "coalesce if nullif try"),
    ("Conversion", "format format_number parse_data_size typeof"),
    (
        "Date and time",
        "at_timezone current_date current_time current_timestamp current_timezone date date_add date_diff \
         date_format date_parse date_trunc day day_of_month day_of_week day_of_year dow doy extract \
         format_datetime from_iso8601_date from_iso8601_timestamp from_iso8601_timestamp_nanos from_unixtime \
         from_unixtime_nanos hour human_readable_seconds last_day_of_month localtime localtimestamp \
         millisecond minute month now parse_datetime parse_duration quarter second timezone timezone_hour \
         timezone_minute to_iso8601 to_milliseconds to_unixtime week week_of_year with_timezone year \
         year_of_week yow",
    ),
    (
        "Geospatial",
        "bing_tile bing_tile_at bing_tile_coordinates bing_tile_polygon bing_tile_quadkey \
         bing_tile_zoom_level bing_tiles_around convex_hull_agg from_encoded_polyline \
         from_geojson_geometry geometry_from_hadoop_shape geometry_invalid_reason geometry_nearest_points \
         geometry_to_bing_tiles geometry_union geometry_union_agg great_circle_distance \
         line_interpolate_point line_interpolate_points line_locate_point simplify_geometry st_area \
         st_asbinary st_astext st_boundary st_buffer st_centroid st_contains st_convexhull st_coorddim \
         st_crosses st_difference st_dimension st_disjoint st_distance st_endpoint st_envelope \
         st_envelopeaspts st_equals st_exteriorring st_geometries st_geometryfromtext st_geometryn \
         st_geometrytype st_geomfrombinary st_interiorringn st_interiorrings st_intersection st_intersects \
         st_isclosed st_isempty st_isring st_issimple st_isvalid st_length st_linefromtext st_linestring \
         st_multipoint st_numgeometries st_numinteriorring st_numpoints st_overlaps st_point st_pointn \
         st_points st_polygon st_relate st_startpoint st_symdifference st_touches st_union st_within st_x \
         st_xmax st_xmin st_y st_ymax st_ymin to_encoded_polyline to_geojson_geometry to_geometry \
         to_spherical_geography",
    ),
    ("HyperLogLog", "approx_set empty_approx_set merge"),
    (
        "IP address",
        "ip_prefix ip_subnet_max ip_subnet_min ip_subnet_range is_subnet_of",
    ),
    (
        "JSON",
        "is_json_scalar json_array json_array_contains json_array_get json_array_length json_exists \
         json_extract json_extract_scalar json_format json_object json_parse json_query json_size json_value",
    ),
    (
        "Map",
        "map map_concat map_entries map_filter map_from_entries map_keys map_values map_zip_with \
         multimap_from_entries transform_keys transform_values",
    ),
    (
        "Math",
        "abs acos asin atan atan2 beta_cdf cbrt ceil ceiling cos cosh cosine_similarity degrees e exp floor \
         from_base infinity inverse_beta_cdf inverse_normal_cdf is_finite is_infinite is_nan ln log log10 \
         log2 mod nan normal_cdf pi pow power radians rand random round sign sin sinh sqrt t_cdf t_pdf tan tanh \
         to_base truncate width_bucket wilson_interval_lower wilson_interval_upper",
    ),
    (
        "Machine learning",
        "classify features learn_classifier learn_libsvm_classifier learn_libsvm_regressor learn_regressor \
         regress",
    ),
    (
        "Quantile digest",
        "qdigest_agg quantile_at_value value_at_quantile values_at_quantiles",
    ),
    (
        "Regular expression",
        "regexp_count regexp_extract regexp_extract_all regexp_like regexp_position regexp_replace \
         regexp_split",
    ),
    (
        "Session",
        "current_catalog current_groups current_schema current_user",
    ),
    (
        "Set digest",
        "hash_counts intersection_cardinality jaccard_index make_set_digest merge_set_digest",
    ),
    (
        "String",
        "btrim char_length character_length chr codepoint concat concat_ws ends_with from_utf8 \
         hamming_distance length levenshtein_distance lower lpad ltrim luhn_check normalize position replace \
         reverse rpad rtrim soundex split split_part split_to_map split_to_multimap starts_with strpos substr \
         substring title_case to_utf8 translate trim upper word_stem",
    ),
    ("System", "version"),
    ("T-digest", "tdigest_agg"),
    ("Teradata", "char2hexint index to_char to_date to_timestamp"),
    (
        "URL",
        "url_decode url_encode url_extract_fragment url_extract_host url_extract_parameter url_extract_path \
         url_extract_port url_extract_protocol url_extract_query",
    ),
    ("UUID", "uuid"),
    (
        "Window",
        "cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number",
    ),
];

/// What is to be said about some of them.
const NOTES: &[(&str, &str)] = &[
    (
        "at_timezone",
        "a zone from a column is that of what reads the clock directly",
    ),
    (
        "bar",
        "tables show no colours: control characters are taken out",
    ),
    ("btrim", "not in Trino; the same as trim"),
    ("char_length", "not in Trino; DataFusion's"),
    ("character_length", "not in Trino; DataFusion's"),
    ("classify", "there are no models"),
    (
        "from_iso8601_timestamp",
        "the zone of a constant stays; columns give UTC",
    ),
    (
        "geometry_invalid_reason",
        "the reasons of polygons are worded otherwise",
    ),
    (
        "parse_datetime",
        "the zone of a constant stays; columns give UTC",
    ),
    (
        "qdigest_agg",
        "the bytes of its digests are not Trino's; those of approx_set and tdigest_agg are",
    ),
    (
        "regexp_like",
        "look-around and back references are slower than the rest",
    ),
    ("version", "the version of the engine here"),
    (
        "with_timezone",
        "the zone stays where it is a constant; one from a column gives UTC",
    ),
];

#[cfg(test)]
mod tests {
    use datafusion::{
        execution::{SessionStateBuilder, context::SessionContext},
        sql::parser::Statement,
    };

    use super::*;

    #[test]
    fn every_registered_function_is_listed_once() {
        let list = functions();
        let names: BTreeSet<_> = list.iter().map(|function| function.name).collect();
        assert_eq!(names.len(), list.len(), "a name stands in the list twice");
        let unlisted: Vec<_> = registered()
            .into_iter()
            .filter(|name| !name.starts_with("__") && !names.contains(name.as_str()))
            .collect();
        assert_eq!(unlisted, Vec::<String>::new());
        for (name, _) in NOTES {
            assert!(
                names.contains(name),
                "a note on {name}, which is not listed"
            );
        }
    }

    #[tokio::test]
    async fn every_listed_function_is_known_to_the_planner() {
        let builder = SessionStateBuilder::new().with_default_features();
        let context = SessionContext::new_with_state(crate::session(builder).build());
        for function in functions() {
            if function.state == FunctionState::Missing {
                continue;
            }
            // Syntax of its own, without brackets or with words in them.
            if ["extract", "position"].contains(&function.name) || function.family == "Session" {
                continue;
            }
            let over = match function.family {
                "Window" => " OVER ()",
                _ => "",
            };
            let Ok(statement) = crate::parse(&format!("SELECT {}(1){over}", function.name)) else {
                continue;
            };
            let statement = Statement::Statement(Box::new(statement));
            if let Err(error) = context.state().statement_to_plan(statement).await {
                let error = error.strip_backtrace();
                assert!(
                    !error.contains("Invalid function"),
                    "{}: {error}",
                    function.name
                );
            }
        }
    }
}
